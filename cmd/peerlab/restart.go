package main

import (
	"context"

	"github.com/spf13/cobra"

	"peerlab/testbed/docker"
)

func (l *lab) restartCommand() *cobra.Command {
	return l.onPeers(&cobra.Command{
		Use: "restart", Short: "Stop peers, as the command stop does, and start them again",
	}, anyState, func(ctx context.Context, c *docker.Cluster, names []string) error {
		if err := c.Stop(ctx, names...); err != nil {
			return err
		}
		return c.Start(ctx, names...)
	})
}
