package peer

import (
	"context"
	"errors"
	"flag"
	"io"
	"slices"
	"strings"

	"peerlab/peer/command"
)

// addCommands fills the registry, group by group in the order of help.
func (p *Peer) addCommands() error {
	p.commands.Otherwise = p.chatLineOf
	p.commands.After = p.ran
	return errors.Join(
		p.commands.Add(p.membershipCommands()...),
		p.commands.Add(p.observeCommands()...),
		p.commands.Add(p.stepCommands()...),
		p.commands.Add(p.configCommands()...),
		p.commands.Add(p.keyCommands()...),
		p.commands.Add(p.broadcastCommands()...),
		p.commands.Add(p.appCommands()...),
		p.commands.Add(p.bootstrapCommands()...),
		p.commands.Add(p.scriptCommands()...),
		p.commands.Add(p.logCommands()...),
		p.commands.Add(p.filterCommands()...),
		p.commands.Add(p.testCommands()...),
		p.commands.Add(p.lifeCommands()...),
		p.commands.Add(p.peerCommands()...),
	)
}

func (p *Peer) peerCommands() []command.Command {
	return []command.Command{
		{
			Name: "events", Group: "peer", Data: true,
			Short:   "what this peer observed, latest last",
			Long:    "Events are JSON lines; docs and the README say what each kind carries.",
			Example: "events -n 5", Flags: p.showEvents,
		},
		{
			Name: "help", Group: "peer", Usage: "[COMMAND|GROUP]", MaxArgs: -1,
			Short:   "what can be typed here",
			Example: "help members",
			Run: func(_ context.Context, c *command.Call) error {
				text, err := p.commands.Help(c.Args)
				if err != nil {
					return err
				}
				_, err = io.WriteString(c.Out, text)
				return err
			},
			Complete: func(args []string, _ string) []string {
				if len(args) == 0 {
					return append(p.commands.Groups(), append([]string{"groups"}, p.completeNames(args)...)...)
				}
				if args[0] == "groups" {
					return p.commands.Groups()
				}
				return p.completeNames(args)
			},
		},
	}
}

func (p *Peer) completeNames(args []string) []string {
	candidates, _ := p.commands.Complete(strings.Join(append(slices.Clone(args), ""), " "))
	return candidates
}

func (p *Peer) showEvents(fs *flag.FlagSet) command.Func {
	n := fs.Int("n", 20, "how `many` of the latest to show")
	follow := fs.Bool("follow", false, "go on until interrupted")
	return func(ctx context.Context, c *command.Call) error {
		if *n < 0 {
			return errors.New("events: -n takes 0 or more")
		}
		events, _ := p.events.Since(0)
		var after uint64
		if len(events) > 0 {
			after = events[len(events)-1].Seq
		}
		for _, e := range events[max(0, len(events)-*n):] {
			if _, err := c.Out.Write(e.Encode()); err != nil {
				return err
			}
		}
		if !*follow {
			return nil
		}
		err := p.events.Copy(ctx, c.Out, after)
		if ctx.Err() != nil {
			return nil // interrupted, as intended
		}
		return err
	}
}
