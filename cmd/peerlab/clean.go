package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func (l *lab) cleanCommand() *cobra.Command {
	return withFormats(&cobra.Command{
		Use: "clean", Short: "Remove what tests and runs that have ended left behind", Args: exactly(0, "no argument"),
		Long: `Remove containers and networks that belong to a process on this host that has
ended, and images that tests had built. What belongs to a process in another
container stays, for whether that has ended cannot be seen from here. Clusters of
peerlab up and of Compose stay: peerlab down removes them.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := l.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			removed, err := d.Clean(cmd.Context())
			if l.json() {
				return errors.Join(err, printJSON(cmd, removed))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "removed %d containers, %d networks and %d images\n", removed.Containers, removed.Networks, removed.Images)
			return err
		},
	}, formatJSON)
}
