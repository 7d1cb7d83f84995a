package control

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"peerlab/event"
	"peerlab/peer/command"
)

func TestMain(m *testing.M) {
	if act := os.Getenv(asStranger); act != "" {
		if err := stranger(act); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// asStranger makes the test binary act as another user: "listen PATH" or
// "connect PATH".
const asStranger = "CONTROL_AS_STRANGER"

// stranger is what the test binary does as another user.
func stranger(act string) error {
	verb, path, _ := strings.Cut(act, " ")
	if verb == "connect" {
		conn, err := net.Dial("unix", path)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, _ = conn.Write([]byte("GET /v1/info HTTP/1.1\r\nHost: peer\r\n\r\n"))
		answer, _ := bufio.NewReader(conn).ReadString('\n')
		_, err = os.Stdout.WriteString("answer:" + answer)
		return err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	_, _ = os.Stdout.WriteString("listens\n")
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"name":"mallory"}`))
	}))
}

// lab is a control server on a socket with a few commands.
type lab struct {
	path    string
	log     *event.Log
	started chan struct{} // receives when "wait" has begun
	ended   chan error    // receives the context's error when it ends
	stop    context.CancelFunc
	served  chan struct{}
}

func (l *lab) registry(t *testing.T) *command.Registry {
	t.Helper()
	var reg command.Registry
	err := reg.Add(
		command.Command{Name: "echo", MaxArgs: -1, Run: func(_ context.Context, c *command.Call) error {
			c.Printf("%s\n", command.Join(c.Args))
			return nil
		}},
		command.Command{Name: "cat", Run: func(_ context.Context, c *command.Call) error {
			_, err := io.Copy(c.Out, c.In)
			return err
		}},
		command.Command{Name: "fail", Run: func(context.Context, *command.Call) error {
			return errors.New("it failed\nin two lines \x1b[2J")
		}},
		command.Command{Name: "panic", Run: func(context.Context, *command.Call) error { panic("by intent") }},
		command.Command{Name: "wait", Run: func(ctx context.Context, c *command.Call) error {
			c.Printf("waiting\n")
			l.started <- struct{}{}
			<-ctx.Done()
			l.ended <- ctx.Err()
			return ctx.Err()
		}},
		command.Command{Name: "farewell", Run: func(ctx context.Context, c *command.Call) error {
			l.started <- struct{}{}
			<-ctx.Done()
			c.Printf("so far\n")
			return ctx.Err()
		}},
		command.Command{Name: "caller", Run: func(ctx context.Context, c *command.Call) error {
			c.Printf("%v %s\n", command.CallerOf(ctx), event.ShellOf(ctx))
			return nil
		}},
		command.Command{Name: "halves", Run: func(ctx context.Context, c *command.Call) error {
			for _, part := range []string{"a\xe2", "\x82\xacb"} {
				if _, err := io.WriteString(c.Out, part); err != nil {
					return err
				}
				<-l.started
			}
			<-ctx.Done()
			return ctx.Err()
		}},
		command.Command{Name: "flood", Run: func(ctx context.Context, c *command.Call) error {
			l.started <- struct{}{}
			for ctx.Err() == nil {
				c.Printf("%01000d\n", 0)
			}
			l.ended <- ctx.Err()
			return ctx.Err()
		}},
		command.Command{Name: "say", Flags: func(fs *flag.FlagSet) command.Func {
			loud := fs.Bool("loud", false, "shout")
			return func(_ context.Context, c *command.Call) error {
				_, err := fmt.Fprintln(c.Out, *loud)
				return err
			}
		}, Complete: func([]string, string) []string { return []string{"bob", "bert"} }, MaxArgs: 1},
	)
	if err != nil {
		t.Fatal(err)
	}
	return &reg
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{
		path: filepath.Join(t.TempDir(), "s"), log: event.NewLog("alice", 100),
		started: make(chan struct{}, 100), ended: make(chan error, 100), served: make(chan struct{}),
	}
	return l
}

// serve starts the server; ready may be nil.
func (l *lab) serve(t *testing.T, ready func() error, timeout time.Duration) *lab {
	t.Helper()
	listener, err := Listen(l.path)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{
		info:     Info{Name: "alice", Version: "v1", Started: time.Now(), Ready: ready},
		registry: l.registry(t), log: l.log, writeTimeout: timeout,
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.stop = cancel
	go func() {
		defer close(l.served)
		if err := Serve(ctx, listener, s.routes()); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-l.served
	})
	return l
}

func (l *lab) dial(t *testing.T) *Client {
	t.Helper()
	c, err := Dial(l.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func start(t *testing.T) (*lab, *Client) {
	t.Helper()
	l := newLab(t).serve(t, nil, writeTimeout)
	return l, l.dial(t)
}

// raw sends bytes to the socket and returns what comes back until it is closed.
func (l *lab) raw(t *testing.T, request string) string {
	t.Helper()
	conn, err := net.Dial("unix", l.path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Logf("write: %v", err) // the server may hang up on the rest
	}
	b, _ := io.ReadAll(conn)
	return string(b)
}

func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("no %s within 10 s", what)
		panic("unreachable")
	}
}
