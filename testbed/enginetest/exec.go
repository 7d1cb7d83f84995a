package enginetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

func execCases() []testCase {
	return []testCase{
		{"a line's output comes back", false, func(c *cluster) {
			if out := c.exec("alice", "members -format json"); !strings.Contains(out, `"dave"`) {
				c.t.Errorf("%s", out)
			}
			if out := c.exec("alice", "echo two  blanks ünï's"); out != "two  blanks ünï's\n" {
				c.t.Errorf("%q", out)
			}
		}},
		{"a command that fails is told as such", false, func(c *cluster) {
			var failed *testbed.CommandError
			if err := c.Exec(c.ctx, "alice", "membres", testbed.Input{}, new(bytes.Buffer)); !errors.As(err, &failed) || failed.Peer != "alice" || !strings.Contains(failed.Message, "members") {
				c.t.Errorf("%v", err)
			}
		}},
		{"a message reaches the others", false, func(c *cluster) {
			c.awaitChat()
			n := c.mark()
			c.exec("alice", "msg hello, everyone")
			for _, o := range c.names[1:] {
				c.awaitEvent(n, o+" gets it", func(e event.Event) bool {
					return e.Peer == o && e.Kind == event.ChatDelivered && e.Text == "hello, everyone"
				})
			}
		}},
		{"a line for nobody, or for who does not run, is an error", false, func(c *cluster) {
			c.must(c.Kill(c.ctx, "dave"))
			for name, want := range map[string]error{"nobody": testbed.ErrNoPeer, "dave": testbed.ErrStopped} {
				if err := c.Exec(c.ctx, name, "members", testbed.Input{}, io.Discard); !errors.Is(err, want) {
					c.t.Errorf("%s: %v", name, err)
				}
			}
			if err := c.Exec(c.ctx, testbed.Bootstrap, "members", testbed.Input{}, io.Discard); err == nil {
				c.t.Error("the bootstrap service has a shell")
			}
		}},
		{"a line ends with its context", false, func(c *cluster) {
			ctx, cancel := context.WithTimeout(c.ctx, time.Second)
			defer cancel()
			if err := c.Exec(ctx, "alice", "sleep 3600", testbed.Input{}, new(bytes.Buffer)); !errors.Is(err, context.DeadlineExceeded) {
				c.t.Errorf("%v", err)
			}
		}},
		{"a line that runs fails when its peer is paused", false, func(c *cluster) {
			if err := c.meanwhile(func() error { return c.Pause(c.ctx, "dave") }); !errors.Is(err, testbed.ErrPaused) {
				c.t.Errorf("%v", err)
			}
		}},
		{"a line that runs fails when its peer is killed", false, func(c *cluster) {
			if err := c.meanwhile(func() error { return c.Kill(c.ctx, "dave") }); !errors.Is(err, testbed.ErrStopped) {
				c.t.Errorf("%v", err)
			}
		}},
	}
}

// meanwhile runs a long line in dave, does something to him as soon as it runs,
// and returns how the line ended.
func (c *cluster) meanwhile(do func() error) error {
	c.t.Helper()
	c.awaitChat()
	running := make(chan error, 1)
	began := &firstWrite{first: make(chan struct{})}
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	go func() { running <- c.Exec(ctx, "dave", "monitor", testbed.Input{}, began) }()
	n := c.mark()
	c.exec("alice", "msg to be seen by a monitor")
	c.awaitEvent(n, "dave gets a message", func(e event.Event) bool { return e.Peer == "dave" && e.Kind == event.ChatDelivered })
	select {
	case <-began.first:
	case <-ctx.Done():
		c.fatalf("the line writes nothing: %v", ctx.Err())
	}
	c.must(do())
	return <-running
}

// firstWrite closes first at the first write.
type firstWrite struct {
	first chan struct{}
	begun bool
}

func (w *firstWrite) Write(b []byte) (int, error) {
	if !w.begun {
		w.begun = true
		close(w.first)
	}
	return len(b), nil
}
