package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"peerlab/internal/terminal"
	"peerlab/internal/terminal/layout"
	"peerlab/testbed"
	"peerlab/testbed/docker"
)

// onPeers makes a command that does something to peers and shows how they are
// then. Completion proposes those that are in one of the states.
func (l *lab) onPeers(cmd *cobra.Command, states []testbed.State, do func(ctx context.Context, c *docker.Cluster, names []string) error) *cobra.Command {
	cmd.Use += " PEER…"
	var all bool
	cmd.Flags().BoolVar(&all, "all", false, "all peers, like the word all")
	named := atLeast(1, "the name of a peer, several such as alice,bob or alice..dave, or all")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		switch {
		case !all:
			return named(cmd, args)
		case len(args) > 0:
			return usageError{fmt.Errorf("--all already means every peer: leave out %s", args[0])}
		}
		return nil
	}
	cmd.ValidArgsFunction = l.completePeers(states...)
	withFormats(cmd, formatJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if all {
			args = []string{testbed.All}
		}
		return l.on(cmd, func(c *docker.Cluster) error {
			ctx := cmd.Context()
			names, err := selectPeers(ctx, c, args)
			if err != nil {
				return err
			}
			failed := do(ctx, c, names)
			peers, err := c.Status(ctx)
			if err != nil {
				return errors.Join(failed, err)
			}
			peers = slices.DeleteFunc(peers, func(p docker.Status) bool { return !slices.Contains(names, p.Name) })
			return errors.Join(l.printPeers(cmd, peers), failed)
		})
	}
	return cmd
}

// selectPeers reads which peers of the cluster the words mean.
func selectPeers(ctx context.Context, c *docker.Cluster, words []string) ([]string, error) {
	known, err := peerNames(ctx, c)
	if err != nil {
		return nil, err
	}
	names, err := testbed.NewRoster(known).Select(words)
	if err != nil && !errors.Is(err, testbed.ErrNoPeer) {
		return nil, usageError{err}
	}
	return names, err
}

var runningOrPaused = []testbed.State{testbed.Running, testbed.Paused}

// anyState is every state of a peer.
var anyState = []testbed.State{testbed.Running, testbed.Paused, testbed.Stopped}

// printPeers writes one line for each peer. What a peer may use of a processor has
// a column where one is throttled.
func (l *lab) printPeers(cmd *cobra.Command, peers []docker.Status) error {
	if l.json() {
		if peers == nil {
			peers = []docker.Status{}
		}
		return printJSON(cmd, peers)
	}
	throttled := slices.ContainsFunc(peers, func(p docker.Status) bool { return p.CPUs > 0 })
	out := cmd.OutOrStdout()
	head := []string{"PEER", "STATE", "ADDRESS"}
	if throttled {
		head = []string{"PEER", "STATE", "CPUS", "ADDRESS"}
	}
	colors, table := l.palette(out), layout.NewTable(head...)
	for _, p := range peers {
		r := peerRow{Status: p}
		row := []string{terminal.Line(p.Name), colors.cell(stateText(p.Peer)), r.address()}
		if throttled {
			row = slices.Insert(row, 2, r.cpus())
		}
		table.Row(row...)
	}
	return table.Write(out)
}

func peerNames(ctx context.Context, c *docker.Cluster) ([]string, error) {
	peers, err := c.Peers(ctx)
	return namesOf(peers), err
}

func namesOf(peers []testbed.Peer) []string {
	names := make([]string, len(peers))
	for i, p := range peers {
		names[i] = p.Name
	}
	return names
}
