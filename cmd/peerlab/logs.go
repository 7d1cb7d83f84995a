package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"peerlab/testbed/docker"
)

func (l *lab) logsCommand() *cobra.Command {
	var raw bool
	var since string
	var part docker.LogRange
	cmd := &cobra.Command{
		Use: "logs PEER…", Short: "Show what peers wrote: events to standard output, their logs to standard error",
		Long: `Show what peers wrote: events to standard output, their logs to standard error. The
lines of several peers, such as alice,bob or all, begin with the name. --tail and
--since select a part of the output of each peer.`,
		Example: "  peerlab logs alice --tail 20 --follow\n  peerlab logs all --since 5m >events.jsonl",
		Args:    atLeast(1, "the name of a peer"), ValidArgsFunction: l.completePeers(anyState...),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("tail") && part.Tail < 1 {
				return usageError{fmt.Errorf("--tail must be 1 or more, not %d", part.Tail)}
			}
			var err error
			if part.Since, err = parseSince(since); err != nil {
				return err
			}
			return l.on(cmd, func(c *docker.Cluster) error {
				names, err := selectPeers(cmd.Context(), c, args)
				if err != nil {
					return err
				}
				out, errs := outputs(cmd, raw)
				order := oneByOne
				if part.Follow {
					order = asItComes
				}
				return unlessInterrupted(cmd.Context(), inEach(names, order, out, errs, func(name string, out, errs io.Writer) error {
					return c.LogsIn(cmd.Context(), name, part, out, errs)
				}))
			})
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&part.Follow, "follow", "f", false, "keep printing until the peer ends, or Ctrl-C")
	flags.IntVarP(&part.Tail, "tail", "n", 0, "only the last `N` lines, counting events and log together")
	sinceFlag(flags, &since)
	rawFlag(cmd, &raw)
	return annotate(cmd, insteadAnnotation, "events has, of the events in it")
}
