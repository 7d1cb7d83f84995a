package commands

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerlab/peer/command"
)

// appCommands are the app's own and those that every app has.
func (b *Builtins) appCommands() []command.Command {
	name, own := b.peer.App.Name, slices.Clone(b.peer.App.Commands)
	if name == "" {
		return nil
	}
	if b.isConversation() {
		for i, c := range own {
			if strings.HasPrefix(strings.Join(b.peer.App.LineCommand, " ")+" ", c.Name+" ") {
				own[i] = b.whileHeard(c)
			}
		}
	}
	say := func(text string, step func(context.Context) error) command.Func {
		return func(ctx context.Context, c *command.Call) error {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			if err := step(ctx); err != nil {
				return err
			}
			c.Printf("%s\n", text)
			return nil
		}
	}
	return append([]command.Command{
		{
			Name: name + " join", Aliases: []string{name + "start"}, Group: name,
			Short: "enter the " + name + " and tell the others", Example: name + " join",
			Run: say("in the "+name, b.peer.Layers.JoinApp),
		},
		{
			Name: name + " leave", Aliases: []string{name + "leave"}, Group: name,
			Short: "tell the others and leave the " + name + "; membership goes on", Example: name + " leave",
			Run: say("left the "+name, func(ctx context.Context) error { return b.peer.Layers.LeaveApp(ctx, true) }),
		},
		{
			Name: name + " stop", Aliases: []string{name + "stop"}, Group: name,
			Short: "leave the " + name + " without telling anybody", Example: name + " stop",
			Run: say("stopped the "+name, func(ctx context.Context) error { return b.peer.Layers.LeaveApp(ctx, false) }),
		},
	}, own...)
}

// whileHeard is a command that says a line, refused while nobody can hear it:
// the app stays joined while membership is made anew.
func (b *Builtins) whileHeard(c command.Command) command.Command {
	run, flags := c.Run, c.Flags
	check := func(f command.Func) command.Func {
		return func(ctx context.Context, c *command.Call) error {
			joined := b.peer.Layers.AppJoined()
			if _, err := b.peer.Layers.Running(); joined && err != nil {
				return fmt.Errorf("nobody would hear it: %w", err)
			}
			return f(ctx, c)
		}
	}
	if flags != nil {
		c.Flags = func(fs *flag.FlagSet) command.Func { return check(flags(fs)) }
	} else {
		c.Run = check(run)
	}
	return c
}
