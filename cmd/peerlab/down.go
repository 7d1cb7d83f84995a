package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"peerlab/testbed/docker"
)

func (l *lab) downCommand() *cobra.Command {
	return withFormats(&cobra.Command{
		Use: "down", Short: "Remove a cluster: its containers and its network", Args: exactly(0, "no argument"),
		Long: `Remove a cluster of peerlab up, make up or Compose: its containers, with everything
they reported, and its network. The peers do not leave the cluster first.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return l.on(cmd, func(c *docker.Cluster) error {
				fmt.Fprintf(cmd.ErrOrStderr(), "removing cluster %s\n", c.Name())
				if err := c.Remove(cmd.Context()); err != nil || !l.json() {
					return err
				}
				return printJSON(cmd, map[string]string{"removed": c.Name()})
			})
		},
	}, formatJSON)
}
