package main

import (
	"context"

	"github.com/spf13/cobra"

	"peerlab/testbed"
	"peerlab/testbed/docker"
)

func (l *lab) resumeCommand() *cobra.Command {
	return l.onPeers(&cobra.Command{
		Use: "resume", Short: "Resume paused peers",
	}, []testbed.State{testbed.Paused}, func(ctx context.Context, c *docker.Cluster, names []string) error { return c.Resume(ctx, names...) })
}
