package main

import (
	"context"

	"github.com/spf13/cobra"

	"peerlab/testbed/docker"
)

func (l *lab) killCommand() *cobra.Command {
	return l.onPeers(&cobra.Command{
		Use: "kill", Short: "End peers at once (SIGKILL), as a crash does",
	}, runningOrPaused, func(ctx context.Context, c *docker.Cluster, names []string) error { return c.Kill(ctx, names...) })
}
