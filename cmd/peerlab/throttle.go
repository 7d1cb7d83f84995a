package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"peerlab/testbed"
	"peerlab/testbed/docker"
)

func (l *lab) throttleCommand() *cobra.Command {
	var cpus float64
	cmd := l.onPeers(&cobra.Command{
		Use: "throttle", Short: "Limit the processor time of peers",
		Example: "  peerlab throttle alice --cpus 0.05\n  peerlab throttle alice --cpus 0",
	}, anyState, func(ctx context.Context, c *docker.Cluster, names []string) error {
		return c.Throttle(ctx, cpus, names...)
	})
	cmd.Flags().Float64Var(&cpus, "cpus", 0, fmt.Sprintf("processors that each peer may use, at least %g; 0 removes the limit (required)", testbed.MinCPUs))
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("cpus") {
			return usageError{errors.New("throttle needs --cpus, such as --cpus 0.05; --cpus 0 removes the limit")}
		}
		return run(cmd, args)
	}
	return cmd
}
