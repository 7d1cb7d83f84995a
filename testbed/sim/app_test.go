package sim

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"peerlab/peer"
	"peerlab/peer/command"
	"peerlab/peer/membership"
	"peerlab/testbed"
)

// echo is an application that answers with what it is told, each line by a
// connection of its own.
type echo struct {
	mu       sync.Mutex
	node     peer.Node
	listener net.Listener
	serving  sync.WaitGroup
	addrs    map[string]string // announced, by name
}

func (*echo) Name() string { return "echo" }

func (e *echo) Join(n peer.Node) (string, error) {
	listener, err := n.Network.Listen(":0")
	if err != nil {
		return "", err
	}
	if second, err := n.Network.Listen(listener.Addr().String()); err == nil {
		second.Close()
		return "", fmt.Errorf("two listen at %s", listener.Addr())
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.node, e.listener = n, listener
	e.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			e.serving.Go(func() {
				defer conn.Close()
				line, _ := bufio.NewReader(conn).ReadString('\n')
				_, _ = io.WriteString(conn, n.Name+": "+line)
			})
		}
	})
	return listener.Addr().String(), nil
}

func (e *echo) Update(members []membership.Member) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.addrs = map[string]string{}
	for _, m := range members {
		e.addrs[m.Name] = m.Meta["echo"]
	}
}

func (e *echo) Leave(context.Context) {
	e.mu.Lock()
	listener := e.listener
	e.mu.Unlock()
	_ = listener.Close()
	e.serving.Wait()
}

func (e *echo) Commands() []command.Command {
	return []command.Command{{
		Name: "echo to", Group: "echo", Usage: "NAME TEXT", MinArgs: 2, MaxArgs: 2, Short: "have a member echo a text",
		Run: func(ctx context.Context, c *command.Call) error {
			e.mu.Lock()
			node, addr := e.node, e.addrs[c.Args[0]]
			e.mu.Unlock()
			conn, err := node.Network.Dial(ctx, addr)
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, c.Args[1]+"\n"); err != nil {
				return err
			}
			answer, err := io.ReadAll(conn)
			c.Printf("%s", answer)
			return err
		},
	}}
}

// The simulator runs peers with another application than the chat, and peers
// with none.
func TestOtherApplications(t *testing.T) {
	for _, test := range []struct {
		name string
		app  func() peer.App
		line string
		want string
	}{
		{"echo", func() peer.App { return &echo{} }, "echo to bob hello", "bob: hello\n"},
		{"none", func() peer.App { return nil }, "members -status alive", "bob"},
	} {
		t.Run(test.name, func(t *testing.T) {
			change := func(c *peer.Config) { c.App = test.app() }
			err := RunChanged(t.Context(), 1, change, func(ctx context.Context, factory testbed.Factory) error {
				names := testbed.Names(2)
				engine, err := factory.Create(ctx, testbed.Spec{Peers: names})
				if err != nil {
					return err
				}
				l := &lab{t, ctx, engine, names}
				l.up()
				time.Sleep(time.Second) // virtual: gossip has carried the announcement
				if out := l.exec("alice", test.line); !strings.Contains(out, test.want) || strings.Contains(out, "CHAT") {
					t.Errorf("%s: %q, want %q", test.line, out, test.want)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
