// Command layer is the peer program with another application instead of the
// chat: a traffic light that all members agree on by gossip. Each member shows
// its own color; the light is green when everyone's is.
package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"peerlab/peer"
	"peerlab/peer/command"
	"peerlab/peer/membership"
	"peerlab/peer/program"
)

func main() {
	program.Program{App: func() peer.App { return &light{} }}.Main()
}

// light implements peer.App, and peer.Describer for its column. What it announces is its whole state: membership
// spreads the announcement and says who is alive, so that nothing is left to
// send.
type light struct {
	mu     sync.Mutex
	node   peer.Node
	joined bool
	colors map[string]string // of everyone with a light, by name
}

// Name implements peer.App.
func (*light) Name() string { return "light" }

// Join implements peer.App.
func (l *light) Join(n peer.Node) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.node, l.joined = n, true
	return "green", nil
}

// Describe implements peer.Describer: members has a column with the colors.
func (*light) Describe(m membership.Member) string {
	if !m.Online() {
		return ""
	}
	return m.Meta["light"]
}

// Update implements peer.App.
func (l *light) Update(members []membership.Member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.colors = map[string]string{}
	for _, m := range members {
		if color := l.Describe(m); color != "" {
			l.colors[m.Name] = color
		}
	}
}

// Leave implements peer.App.
func (l *light) Leave(context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.joined = false
}

var errDark = fmt.Errorf("this peer shows no light (%w): light join first", peer.ErrNotJoined)

// Commands implements peer.App.
func (l *light) Commands() []command.Command {
	return []command.Command{{
		Name: "light set", Group: "light", Usage: "COLOR", MinArgs: 1, MaxArgs: 1,
		Short: "change this member's color", Example: "light set red",
		Complete: func([]string, string) []string { return []string{"green", "red"} },
		Run: func(ctx context.Context, c *command.Call) error {
			l.mu.Lock()
			node, joined := l.node, l.joined
			l.mu.Unlock()
			if !joined {
				return errDark
			}
			return node.Announce(ctx, c.Args[0])
		},
	}, {
		Name: "light", Group: "light", Data: true,
		Short: "the light, and whose colors make it", Example: "light",
		Run: func(_ context.Context, c *command.Call) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			if !l.joined {
				return errDark
			}
			color, names := "green", []string{}
			for name, c := range l.colors {
				names = append(names, name)
				if c != "green" {
					color = c
				}
			}
			slices.Sort(names)
			return c.Show(map[string]any{"light": color, "of": names}, func() {
				c.Printf("%s, by %s\n", color, strings.Join(names, ", "))
			})
		},
	}}
}
