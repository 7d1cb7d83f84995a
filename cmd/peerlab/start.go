package main

import (
	"context"

	"github.com/spf13/cobra"

	"peerlab/testbed"
	"peerlab/testbed/docker"
)

func (l *lab) startCommand() *cobra.Command {
	var move bool
	cmd := l.onPeers(&cobra.Command{
		Use: "start", Short: "Start stopped peers, at the same address or a new one",
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
	cmd.Flags().BoolVar(&move, "new-address", false, "give each peer an address that no other peer has")
	return cmd
}
