package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/testbed"
	"peerlab/testbed/docker"
)

// onPeers makes a command that does something to peers and shows how they are
// then. Completion proposes those that are in one of the states.
func (l *lab) onPeers(cmd *cobra.Command, states []testbed.State, do func(ctx context.Context, c *docker.Cluster, names []string) error) *cobra.Command {
	cmd.Use += " PEER…"
	var all bool
	cmd.Flags().BoolVar(&all, "all", false, "every peer, as the word all")
	named := atLeast(1, "the name of a peer, several such as alice,bob or alice..dave, or all")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		switch {
		case !all:
			return named(cmd, args)
		case len(args) > 0:
			return usageError{fmt.Errorf("--all is every peer: %s besides is too much", args[0])}
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

func (l *lab) killCommand() *cobra.Command {
	return l.onPeers(&cobra.Command{
		Use: "kill", Short: "End peers at once (SIGKILL), as a crash does",
	}, runningOrPaused, func(ctx context.Context, c *docker.Cluster, names []string) error { return c.Kill(ctx, names...) })
}

func (l *lab) stopCommand() *cobra.Command {
	var cmd *cobra.Command
	cmd = l.onPeers(&cobra.Command{
		Use: "stop", Short: "Have peers leave (SIGTERM); kill those that have not after 10 s",
	}, runningOrPaused, func(ctx context.Context, c *docker.Cluster, names []string) error {
		peers, err := c.Peers(ctx)
		if err != nil {
			return err
		}
		if idle := stopped(peers, names); len(idle) > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "nothing to stop in %s: not running\n", strings.Join(idle, ", "))
		}
		return c.Stop(ctx, names...)
	})
	return cmd
}

// stopped are those of names that do not run.
func stopped(peers []testbed.Peer, names []string) (idle []string) {
	for _, p := range peers {
		if p.State == testbed.Stopped && slices.Contains(names, p.Name) {
			idle = append(idle, p.Name)
		}
	}
	return idle
}

func (l *lab) pauseCommand() *cobra.Command {
	return l.onPeers(&cobra.Command{
		Use: "pause", Short: "Freeze peers: they keep their connections and answer nothing",
	}, []testbed.State{testbed.Running}, func(ctx context.Context, c *docker.Cluster, names []string) error { return c.Pause(ctx, names...) })
}

func (l *lab) resumeCommand() *cobra.Command {
	return l.onPeers(&cobra.Command{
		Use: "resume", Short: "Let paused peers go on",
	}, []testbed.State{testbed.Paused}, func(ctx context.Context, c *docker.Cluster, names []string) error { return c.Resume(ctx, names...) })
}

func (l *lab) startCommand() *cobra.Command {
	var move bool
	cmd := l.onPeers(&cobra.Command{
		Use: "start", Short: "Start peers that have ended, at the same address or a new one",
	}, []testbed.State{testbed.Stopped}, func(ctx context.Context, c *docker.Cluster, names []string) error {
		if move {
			for _, name := range names { // each takes the address after the one before
				if _, err := c.Move(ctx, name); err != nil {
					return err
				}
			}
		}
		return c.Start(ctx, names...)
	})
	cmd.Flags().BoolVar(&move, "new-address", false, "at an address that nobody in the cluster has")
	return cmd
}

func (l *lab) restartCommand() *cobra.Command {
	return l.onPeers(&cobra.Command{
		Use: "restart", Short: "Have peers leave, as stop does, and start them again",
	}, anyState, func(ctx context.Context, c *docker.Cluster, names []string) error {
		if err := c.Stop(ctx, names...); err != nil {
			return err
		}
		return c.Start(ctx, names...)
	})
}

func (l *lab) throttleCommand() *cobra.Command {
	var cpus float64
	cmd := l.onPeers(&cobra.Command{
		Use: "throttle", Short: "Allow peers only a share of a processor",
		Example: "  peerlab throttle alice --cpus 0.05\n  peerlab throttle alice --cpus 0",
	}, anyState, func(ctx context.Context, c *docker.Cluster, names []string) error {
		return c.Throttle(ctx, cpus, names...)
	})
	cmd.Flags().Float64Var(&cpus, "cpus", 0, fmt.Sprintf("processors each may use, from %g; 0 lifts the limit (required)", testbed.MinCPUs))
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("cpus") {
			return usageError{errors.New("throttle needs --cpus, such as --cpus 0.05; --cpus 0 lifts the limit")}
		}
		return run(cmd, args)
	}
	return cmd
}
