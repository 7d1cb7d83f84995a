package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"peerlab/testbed/docker"
)

func (l *lab) linksCommand() *cobra.Command {
	return withFormats(&cobra.Command{
		Use: "links", Short: "List the links that are cut or degraded, and for how long", Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return l.on(cmd, func(c *docker.Cluster) error {
				state, err := c.LinkState(cmd.Context())
				if err != nil {
					return err
				}
				return l.showLinks(cmd, c, state, nil)
			})
		},
	}, formatJSON)
}

// showLinks prints what is in force.
func (l *lab) showLinks(cmd *cobra.Command, c *docker.Cluster, state *docker.LinkState, measured []probe) error {
	if l.json() {
		return printJSON(cmd, newInForce(state.Links, state.Until, measured))
	}
	out := cmd.OutOrStdout()
	colors := l.palette(out)
	if err := printProbes(out, measured); err != nil {
		return err
	}
	if len(state.Links) == 0 {
		_, err := fmt.Fprintln(out, colors.words("all links are healthy", "healthy"))
		return err
	}
	if err := printLinks(out, colors, state.Links, namesOf(state.Peers)); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, ending(state.Until, time.Now(), c.Command("heal")))
	return err
}
