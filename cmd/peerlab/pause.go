package main

import (
	"context"

	"github.com/spf13/cobra"

	"peerlab/testbed"
	"peerlab/testbed/docker"
)

func (l *lab) pauseCommand() *cobra.Command {
	return l.onPeers(&cobra.Command{
		Use: "pause", Short: "Freeze peers: they keep their connections but do not answer",
	}, []testbed.State{testbed.Running}, func(ctx context.Context, c *docker.Cluster, names []string) error { return c.Pause(ctx, names...) })
}
