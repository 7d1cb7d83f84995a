package commands

import (
	"context"
	"errors"
	"strings"

	"peerlab/peer/broadcast"
	"peerlab/peer/command"
)

func (b *Builtins) broadcastCommands() []command.Command {
	return []command.Command{
		{
			Name: "broadcast add", Aliases: []string{"broadcastadd"}, Group: "broadcast", Usage: "KEY TEXT...",
			MinArgs: 2, MaxArgs: -1, Text: true, TextAfter: 1,
			Short: "set a key of the map that gossip keeps in step on all members", Example: "broadcast add motd 'hello, cluster'",
			Run: func(_ context.Context, c *command.Call) error {
				values, err := b.broadcasts()
				if err != nil {
					return err
				}
				return values.Add(c.Args[0], strings.Join(c.Args[1:], " "))
			},
		},
		{
			Name: "broadcast del", Aliases: []string{"broadcastdel"}, Group: "broadcast", Usage: "KEY...",
			MinArgs: 1, MaxArgs: -1,
			Short: "remove keys, on all members", Example: "broadcast del motd",
			Complete: func([]string, string) []string {
				s, err := b.peer.Layers.Created()
				if err != nil {
					return nil
				}
				var keys []string
				for _, e := range s.Values.List() {
					keys = append(keys, e.Key)
				}
				return keys
			},
			Run: func(_ context.Context, c *command.Call) error {
				values, err := b.broadcasts()
				if err != nil {
					return err
				}
				return values.Delete(c.Args...)
			},
		},
		{
			Name: "broadcast list", Aliases: []string{"broadcastlist"}, Group: "broadcast", Data: true,
			Short: "the map as this peer knows it", Example: "broadcast list",
			Run: func(_ context.Context, c *command.Call) error {
				s, err := b.peer.Layers.Created()
				if err != nil {
					return err
				}
				entries := s.Values.List()
				if entries == nil {
					entries = []broadcast.Entry{}
				}
				return c.Show(entries, func() {
					rows := make([][]string, len(entries))
					for i, e := range entries {
						rows[i] = []string{e.Key, e.Text, e.Author, age(e.When)}
					}
					c.Table([]string{"KEY", "TEXT", "BY", "AGE"}, rows)
				})
			},
		},
	}
}

// broadcasts returns the map if this peer gossips it.
func (b *Builtins) broadcasts() (*broadcast.Map, error) {
	s, err := b.peer.Layers.Running()
	if err != nil {
		return nil, err
	}
	if !s.Gossiping {
		return nil, errors.New("broadcasts are not started: membership start first")
	}
	return s.Values, nil
}
