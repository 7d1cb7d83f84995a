//go:build linux

package shell

import (
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"peerlab/event"
	"peerlab/peer/command"
	"peerlab/peer/control"
)

func TestMain(m *testing.M) {
	if os.Getenv(asShell) != "" {
		os.Exit(mainShell())
	}
	goleak.VerifyTestMain(m)
}

// peer is a control server on a socket with a small registry.
type peer struct {
	path     string
	registry command.Registry
	log      *event.Log
	lines    chan string   // what "note" was given
	running  chan struct{} // receives when "wait" has begun
	asked    chan struct{} // receives for every question who it is
	kill     func()        // ends the server at once

	mu     sync.Mutex
	paused chan struct{} // closed when the peer goes on; nil: it is not paused
}

// pause makes the peer take requests and answer none.
func (p *peer) pause() (resume func()) {
	paused := make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = paused
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.paused = nil
		close(paused)
	})
}

func (p *peer) wait() {
	p.mu.Lock()
	paused := p.paused
	p.mu.Unlock()
	if paused != nil {
		<-paused
	}
}

func newPeer(t testing.TB) *peer {
	t.Helper()
	p := &peer{
		path: filepath.Join(t.TempDir(), "s"), log: event.NewLog("alice", 1000),
		lines: make(chan string, 1000), running: make(chan struct{}, 1000), asked: make(chan struct{}, 1000),
	}
	if err := p.addCommands(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *peer) addCommands() error {
	return p.registry.Add(
		command.Command{Name: "echo", Group: "test", Short: "show TEXT", Text: true, MaxArgs: -1, Run: func(_ context.Context, c *command.Call) error {
			c.Printf("%s\n", strings.Join(c.Args, " "))
			return nil
		}},
		command.Command{Name: "raw", Text: true, MaxArgs: -1, Run: func(_ context.Context, c *command.Call) error {
			_, err := io.WriteString(c.Out, strings.Join(c.Args, " "))
			return err
		}},
		command.Command{Name: "evil", Run: func(_ context.Context, c *command.Call) error {
			_, err := io.WriteString(c.Out, "a\x1b[2Jb\xc2")
			if err == nil {
				_, err = io.WriteString(c.Out, "\x9b2Jc\n")
			}
			return err
		}},
		command.Command{Name: "note", Text: true, MaxArgs: -1, Run: func(_ context.Context, c *command.Call) error {
			p.lines <- strings.Join(c.Args, " ")
			return nil
		}},
		command.Command{Name: "msg", Text: true, MaxArgs: -1, Run: func(ctx context.Context, c *command.Call) error {
			p.log.Emit(event.Event{Kind: event.ChatSent, Text: strings.Join(c.Args, " "), Shell: event.ShellOf(ctx)})
			return nil
		}},
		command.Command{Name: "quit", Run: func(_ context.Context, c *command.Call) error {
			c.Printf("leaving\n")
			p.log.Emit(event.Event{Kind: event.PeerStopping, Reason: "quit"})
			return nil
		}},
		command.Command{Name: "fail", Run: func(context.Context, *command.Call) error {
			return errors.New("it failed \x1b[2J")
		}},
		command.Command{Name: "panic", Run: func(context.Context, *command.Call) error { panic("by intent") }},
		command.Command{Name: "wait", Run: func(ctx context.Context, c *command.Call) error {
			c.Printf("waiting\n")
			p.running <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}},
		command.Command{Name: "chat join", Run: func(context.Context, *command.Call) error { return nil }},
		command.Command{Name: "chat leave", Run: func(context.Context, *command.Call) error { return nil }},
		command.Command{Name: "rtt", MaxArgs: 2, Flags: func(fs *flag.FlagSet) command.Func {
			fs.Bool("verbose", false, "")
			fs.Int("count", 1, "")
			return func(context.Context, *command.Call) error { return nil }
		}, Complete: func([]string, string) []string { return []string{"bob", "bert", "carol", "evil\x1b[2J"} }},
		command.Command{Name: "help", MaxArgs: -1, Run: func(_ context.Context, c *command.Call) error {
			text, err := p.registry.Help(c.Args, c.Columns)
			c.Printf("%s", text)
			return err
		}},
	)
}

// serve answers on the socket until kill.
func (p *peer) serve(t testing.TB) *peer {
	t.Helper()
	l, err := control.Listen(p.path)
	if err != nil {
		t.Fatal(err)
	}
	h := control.NewHandler(control.Info{Name: "alice", Started: time.Now()}, &p.registry, p.log)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		err := control.Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p.wait()
			if r.URL.Path == "/v1/info" {
				p.asked <- struct{}{}
			}
			h.ServeHTTP(w, r)
		}))
		if err != nil {
			t.Error(err)
		}
	}()
	p.kill = func() {
		cancel()
		<-served
	}
	t.Cleanup(p.kill)
	return p
}

// attach returns the peer as an attached shell sees it.
func (p *peer) attach(t testing.TB) Peer {
	t.Helper()
	client, err := control.Dial(p.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	attached, err := Attach(context.Background(), client)
	if err != nil {
		t.Fatal(err)
	}
	return attached
}

// attach opens a shell on a new peer.
func attach(t testing.TB, opts Options) (*peer, *window) {
	t.Helper()
	p := newPeer(t).serve(t)
	opts.Peer = p.attach(t)
	w := open(t, opts)
	w.shows("alice> ▏")
	return p, w
}
