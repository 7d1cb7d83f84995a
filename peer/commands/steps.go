package commands

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"

	"peerlab/peer/command"
	"peerlab/peer/membership/memberlistconfig"
)

// stepCommands bring the membership layer up and down, a step each.
func (b *Builtins) stepCommands() []command.Command {
	return []command.Command{
		{
			Name: "membership configure", Aliases: []string{"memberlistconfigure"}, Group: "membership",
			Usage: "[BindPort N] [Field=VALUE...]", MaxArgs: -1,
			Short: "make a configuration: the profile's, with these changes",
			Long: "It counts from the next create on. Fields are those of memberlist.Config with a\n" +
				"plain value; TAB completes them.",
			Example: "membership configure BindPort 0 SuspicionMult=5", Run: b.runConfigure, Complete: settings,
		},
		{
			Name: "membership create", Aliases: []string{"memberlistcreate"}, Group: "membership",
			Short: "start memberlist from the configuration, alone", Example: "membership create",
			Run: func(_ context.Context, c *command.Call) error {
				if err := b.peer.Layers.Create(); err != nil {
					return err
				}
				s, err := b.peer.Layers.Running()
				if err != nil {
					return err
				}
				c.Printf("created at %s\n", s.Members.Addr())
				return nil
			},
		},
		{
			Name: "membership start", Aliases: []string{"memberliststart"}, Group: "membership",
			Short: "start to gossip this peer's broadcasts", Example: "membership start",
			Run: func(_ context.Context, c *command.Call) error {
				if err := b.peer.Layers.Start(); err != nil {
					return err
				}
				c.Printf("broadcasts are gossiped\n")
				return nil
			},
		},
		{
			Name: "membership join", Aliases: []string{"memberlistjoin"}, Group: "membership",
			Usage: "[HOST:PORT...]", MaxArgs: 100,
			Short:   "join the peers at these addresses, or those the bootstrap service listed",
			Example: "membership join 10.77.0.2:7946", Run: b.runJoin,
		},
		{
			Name: "membership update", Aliases: []string{"memberlistupdate"}, Group: "membership",
			Usage: "[SECONDS]", MaxArgs: 1,
			Short:   "advertise this peer again, under a new incarnation",
			Example: "membership update 2", Run: b.onMembers(func(ctx context.Context, s Instance) error { return s.Members.Update(ctx) }, "advertised again"),
		},
		{
			Name: "membership leave", Aliases: []string{"memberlistleave"}, Group: "membership",
			Usage: "[SECONDS]", MaxArgs: 1,
			Short: "tell the others that this peer leaves",
			Long: "memberlist cannot rejoin afterwards: init makes a new one, or shut it down, delete\n" +
				"it and create one.",
			Example: "membership leave",
			Run:     b.onMembers(func(ctx context.Context, s Instance) error { return s.Members.Leave(ctx) }, "left"),
		},
		{
			Name: "membership shutdown", Aliases: []string{"memberlistshutdown"}, Group: "membership",
			Short: "stop memberlist; without a leave before, the others find this peer dead", Example: "membership shutdown",
			Run: func(_ context.Context, c *command.Call) error {
				already, err := b.peer.Layers.Shutdown()
				if err != nil {
					return err
				}
				if already {
					c.Printf("already shut down: nothing changes\n")
					return nil
				}
				c.Printf("shut down\n")
				return nil
			},
		},
		{
			Name: "membership shutdown-transport", Aliases: []string{"memberlistshutdowntransport"}, Group: "membership",
			Short: "stop memberlist's network only: it goes on, deaf and mute", Example: "membership shutdown-transport",
			Run: b.endMembers(b.peer.Layers.ShutdownTransport, "the transport is shut down"),
		},
		{
			Name: "membership delete", Aliases: []string{"memberlistdelete"}, Group: "membership",
			Short: "forget a memberlist that is shut down", Example: "membership delete",
			Run: b.endMembers(b.peer.Layers.Delete, "deleted"),
		},
	}
}

// settings completes Field= of memberlist's configuration.
func settings([]string, string) []string {
	fields := memberlistconfig.Fields()
	for i, f := range fields {
		fields[i] = f + "="
	}
	return fields
}

func (b *Builtins) runConfigure(_ context.Context, c *command.Call) error {
	args := c.Args
	port := -1
	if len(args) > 0 && args[0] == "BindPort" { // as the old shell had it
		if len(args) < 2 {
			return errors.New("membership configure: BindPort needs a number")
		}
		n, err := strconv.ParseUint(args[1], 10, 16)
		if err != nil {
			return fmt.Errorf("membership configure: BindPort %q is no number from 0 to 65535", args[1])
		}
		port, args = int(n), args[2:]
	}
	if err := b.peer.Layers.Configure(args, port); err != nil {
		return err
	}
	c.Printf("configured: %s\n", b.peer.Profile)
	return nil
}

func (b *Builtins) runJoin(ctx context.Context, c *command.Call) error {
	n, err := b.peer.Layers.Join(ctx, c.Args)
	if err != nil {
		return err
	}
	s, err := b.peer.Layers.Running()
	if err != nil {
		return err
	}
	if addr, _ := s.Members.TakenAt(); addr != "" {
		return fmt.Errorf("the name %s is taken by a live peer at %s: nobody takes this one in", b.peer.Name, addr)
	}
	if n == 0 {
		c.Printf("nobody else is listed: this peer is the first\n")
		return nil
	}
	c.Printf("%d answered, %d online\n", n, s.Members.Online())
	return nil
}

// seconds reads the optional argument SECONDS, five without it.
func seconds(args []string) (time.Duration, error) {
	if len(args) == 0 {
		return 5 * time.Second, nil
	}
	return duration(args[0])
}

// duration reads a number of seconds or a duration such as 500ms.
func duration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if n, nerr := strconv.ParseFloat(s, 64); nerr == nil && n >= 0 && n <= 86400 {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	if err != nil || d < 0 || d > 24*time.Hour {
		return 0, fmt.Errorf("%q is no time: write seconds, or a duration such as 500ms, up to 24h", s)
	}
	return d, nil
}

// onMembers runs a step that takes [SECONDS] on a running membership.
func (b *Builtins) onMembers(step func(context.Context, Instance) error, done string) command.Func {
	return func(ctx context.Context, c *command.Call) error {
		d, err := seconds(c.Args)
		if err != nil {
			return err
		}
		s, err := b.peer.Layers.Running()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		if err := step(ctx, s); err != nil {
			return err
		}
		c.Printf("%s\n", done)
		return nil
	}
}

// endMembers runs a step that ends something.
func (b *Builtins) endMembers(step func() error, done string) command.Func {
	return func(_ context.Context, c *command.Call) error {
		if err := step(); err != nil {
			return err
		}
		c.Printf("%s\n", done)
		return nil
	}
}

// lifecycleCommands are about the peer as a whole.
func (b *Builtins) lifecycleCommands() []command.Command {
	return []command.Command{
		{
			Name: "init", Group: "development",
			Short: "bring all layers up from nothing, as far as they are not", Example: "init",
			Long: "A membership that this peer has left or shut down is replaced by a new one, which\n" +
				"joins the cluster again.",
			Flags: func(fs *flag.FlagSet) command.Func {
				wait := fs.Duration("wait", time.Minute, "how `long` to try")
				return func(ctx context.Context, c *command.Call) error {
					ctx, cancel := context.WithTimeout(ctx, *wait)
					defer cancel()
					return b.peer.Layers.Init(ctx, c.Printf)
				}
			},
		},
		{
			Name: "quit", Group: "development",
			Short: "leave all layers in order, then end this peer", Example: "quit", EndsPeer: true,
			Run: func(_ context.Context, c *command.Call) error {
				c.Printf("leaving\n")
				b.peer.Layers.Stop("quit", true)
				return nil
			},
		},
		{
			Name: "abort", Aliases: []string{"exit", "peer exit"}, Group: "development",
			Short: "end this peer at once, without leaving: the others find it dead",
			Long:  "In a shell, exit leaves the shell; there this is called abort.", Example: "abort",
			EndsPeer: true,
			Run: func(_ context.Context, c *command.Call) error {
				c.Printf("%s ends without leaving\n", b.peer.Name)
				b.peer.Layers.Stop("exit", false)
				return nil
			},
		},
		{
			Name: "play", Group: "development", Usage: "[ARG...]", MaxArgs: -1,
			Short: "free for your own function", Example: "play",
			Long: "Register your own command in Go instead: examples/ping is one in a few lines.",
			Run: func(_ context.Context, c *command.Call) error {
				c.Printf("play %s: put your own function here, see examples/ping\n", strings.Join(c.Args, " "))
				return nil
			},
		},
	}
}
