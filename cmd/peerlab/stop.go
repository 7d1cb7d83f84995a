package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/testbed"
	"peerlab/testbed/docker"
)

func (l *lab) stopCommand() *cobra.Command {
	var cmd *cobra.Command
	cmd = l.onPeers(&cobra.Command{
		Use: "stop", Short: "Ask peers to leave (SIGTERM); kill those still running after 10 s",
	}, runningOrPaused, func(ctx context.Context, c *docker.Cluster, names []string) error {
		peers, err := c.Peers(ctx)
		if err != nil {
			return err
		}
		if idle := stopped(peers, names); len(idle) > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "nothing to stop: %s not running\n", strings.Join(idle, ", "))
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
