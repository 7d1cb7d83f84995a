package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"peerlab/event"
	"peerlab/scenarios"
	"peerlab/testbed"
	"peerlab/testbed/docker"
)

// gather is how long events wait for earlier ones of other peers.
const gather = 100 * time.Millisecond

// eventFilter says which events are shown.
type eventFilter struct {
	event.Filter
	peers []string // that did it, or to which the lab did it; none is all
}

func (f eventFilter) shows(e event.Event) bool {
	if len(f.peers) > 0 && !slices.Contains(f.peers, e.Peer) && (e.Peer != testbed.Lab || !slices.Contains(f.peers, e.Member)) &&
		(e.Kind != testbed.LabError || e.Member != "") { // what is missing may be theirs
		return false
	}
	return f.Shows(e)
}

// kindsHelp lists the kinds of events, a line for each layer.
func kindsHelp() string {
	var b strings.Builder
	for _, layer := range event.Layers(scenarios.EventKinds()) {
		fmt.Fprintf(&b, "  %-10s", layer)
		column := 12
		for _, kind := range scenarios.EventKinds() {
			name, is := strings.CutPrefix(string(kind), string(layer)+".")
			if !is {
				continue
			}
			if column+len(name) >= 80 {
				fmt.Fprintf(&b, "\n%12s", "")
				column = 12
			}
			b.WriteString(" " + name)
			column += 1 + len(name)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (l *lab) eventsCommand() *cobra.Command {
	var follow bool
	var since string
	var kinds, peers []string
	cmd := withFormats(&cobra.Command{
		Use: "events [PEER…]", Short: "Show what peers reported, in the order in which it happened",
		ValidArgsFunction: l.completePeers(anyState...),
		Long: `Show what all peers reported since the cluster was created, in the order in which it
happened. With names, show what those peers did and what was done to them. With
--follow, also show what they report from now on, until the cluster is gone; events
that arrive within a tenth of a second are then put in order.

--kind names kinds of events, such as member.dead, or all of a layer, such as member:

` + kindsHelp() + `
Every peer reports peer.traffic and peer.queues every five seconds. They are shown if
--kind names them or is all, and by --format json without --follow, which shows every
event. --format json writes one JSON object on each line.`,
		Example: "  peerlab events --since 5m --kind member.suspect,member.dead\n  peerlab events --follow --peer alice --kind member,lab\n  peerlab events --format json >events.jsonl",
		RunE: func(cmd *cobra.Command, args []string) error {
			var f eventFilter
			var err error
			if f.Since, err = parseSince(since); err != nil {
				return err
			}
			if f.Since.After(time.Now()) {
				fmt.Fprintf(cmd.ErrOrStderr(), "--since %s is in the future: nothing has happened since then\n", since)
			}
			if f.Kinds, err = event.ParseKinds(kinds, scenarios.EventKinds()); err != nil {
				return usageError{fmt.Errorf("--kind: %w", err)}
			}
			if len(f.Kinds) == 0 && l.json() && !follow {
				f.Kinds = []event.Kind{event.All}
			}
			return l.on(cmd, func(c *docker.Cluster) error {
				if words := slices.Concat(args, peers); len(words) > 0 {
					if f.peers, err = selectPeers(cmd.Context(), c, words); err != nil {
						return err
					}
				}
				if !follow {
					events, err := c.Reported(cmd.Context())
					return errors.Join(l.printEvents(cmd.OutOrStdout(), testbed.Sorted(events), f), err)
				}
				err := l.followEvents(cmd.Context(), c, cmd.OutOrStdout(), f)
				if errors.Is(err, testbed.ErrClosed) {
					fmt.Fprintf(cmd.ErrOrStderr(), "the cluster %s is gone\n", c.Name())
					return nil
				}
				return unlessInterrupted(cmd.Context(), err)
			})
		},
	}, formatJSON)
	flags := cmd.Flags()
	flags.BoolVarP(&follow, "follow", "f", false, "keep printing until the cluster is gone, or Ctrl-C")
	flags.StringSliceVar(&kinds, "kind", nil, "only events of this `KIND` or layer; repeatable, or several with commas")
	flags.StringSliceVar(&peers, "peer", nil, "only events of and about this `PEER`, like an argument; repeatable, or several with commas")
	sinceFlag(flags, &since)
	return cmd
}

func (l *lab) followEvents(ctx context.Context, c *docker.Cluster, out io.Writer, f eventFilter) error {
	shown := 0
	tick := time.NewTicker(gather)
	defer tick.Stop()
	for {
		if _, err := c.History().Read(ctx, shown); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		events, _ := c.History().Since(shown)
		shown += len(events)
		if err := l.printEvents(out, testbed.Sorted(events), f); err != nil {
			return err
		}
	}
}

func (l *lab) printEvents(out io.Writer, events []event.Event, f eventFilter) error {
	colors := l.palette(out)
	for _, e := range events {
		if !f.shows(e) {
			continue
		}
		var err error
		if l.json() {
			_, err = out.Write(e.Encode())
		} else {
			_, err = fmt.Fprintln(out, colors.words(event.Line(e), "alive", "suspect", "dead"))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func sinceFlag(flags *pflag.FlagSet, since *string) {
	flags.StringVar(since, "since", "", "only what came after `WHEN`: 5m (ago), 15:04:05 (today), or a time such as 2026-01-02T15:04:05Z")
}

// parseSince reads --since; "" is the zero time.
func parseSince(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := event.ParseSince(text, time.Now())
	if err != nil {
		return t, usageError{fmt.Errorf("--since %q: %w", text, err)}
	}
	return t, nil
}
