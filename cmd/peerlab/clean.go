package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func (l *lab) cleanCommand() *cobra.Command {
	return withFormats(&cobra.Command{
		Use: "clean", Short: "Remove what ended tests and runs left behind", Args: exactly(0, "no argument"),
		Long: `Remove containers and networks whose owner was a process on this host and has ended,
and images that tests built. Things that belong to a process in another container
stay, because from here nobody can see whether that process has ended. Clusters of
peerlab up and of Compose stay, too: peerlab down removes them.`,
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
