package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"peerlab/internal/terminal"
	"peerlab/internal/terminal/layout"
	"peerlab/testbed/docker/dockerd"
)

func (l *lab) clustersCommand() *cobra.Command {
	var quiet bool
	cmd := withFormats(&cobra.Command{
		Use: "clusters", Short: "List all clusters: of peerlab up, Compose, runs and those started by hand", Args: exactly(0, "no argument"),
		Example: "  peerlab clusters\n  peerlab clusters -q          # names only",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := l.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			all, err := d.Summaries(cmd.Context())
			if err != nil {
				return err
			}
			return l.printClusters(cmd, all, quiet, time.Now())
		},
	}, formatJSON)
	namesOnly(cmd, &quiet)
	return cmd
}

// namesOnly adds -q to a command that lists something.
func namesOnly(cmd *cobra.Command, quiet *bool) {
	cmd.Flags().BoolVarP(quiet, "quiet", "q", false, "print only names, one on each line")
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if format := cmd.Flag("format"); *quiet && format.Changed && format.Value.String() != formatText {
			return usageError{fmt.Errorf("--quiet and --format %s cannot be used together", format.Value)}
		}
		return run(cmd, args)
	}
}

// originText is what a cluster was started by, for people.
var originText = map[dockerd.Origin]string{
	dockerd.ByPeerlab: "peerlab up", dockerd.ByRun: "a run or a test", dockerd.ByCompose: "Compose", dockerd.ByHand: "hand",
}

func (l *lab) printClusters(cmd *cobra.Command, all []dockerd.Summary, quiet bool, now time.Time) error {
	out := cmd.OutOrStdout()
	switch {
	case quiet:
		for _, c := range all {
			fmt.Fprintln(out, terminal.Line(c.Name))
		}
		return nil
	case l.json():
		if all == nil {
			all = []dockerd.Summary{}
		}
		return printJSON(cmd, all)
	}
	table := layout.NewTable("CLUSTER", "PEERS", "RUNNING", "AGE", "STARTED BY")
	for _, c := range all {
		running := strconv.Itoa(c.Running)
		if c.Paused > 0 {
			running = fmt.Sprintf("%d, %d paused", c.Running, c.Paused)
		}
		table.Row(terminal.Line(c.Name), strconv.Itoa(c.Peers), running, age(now.Sub(c.Created)), originText[c.Origin])
	}
	return table.Write(out)
}

// age is a duration in its largest unit, for a table: 12s, 3m, 2h, 5d.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < day:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/day)
}
