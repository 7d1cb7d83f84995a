package main

import (
	"context"

	"github.com/spf13/cobra"

	"peerlab/testbed/docker"
)

func (l *lab) killCommand() *cobra.Command {
	return l.onPeers(&cobra.Command{
		Use: "kill", Short: "Kill peers immediately (SIGKILL), like a crash",
	}, runningOrPaused, func(ctx context.Context, c *docker.Cluster, names []string) error { return c.Kill(ctx, names...) })
}
