package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/internal/terminal"
	"peerlab/internal/terminal/layout"
	"peerlab/internal/usage"
	"peerlab/testbed/docker"
	"peerlab/testbed/docker/dockerd"
)

// lab is what the commands that work on a cluster share.
type lab struct {
	env     func(string) string
	cluster string
	format  string
	color   string // one of colorModes
	fabric  string
	limits  containerLimits
}

// Groups of commands that are not for a cluster that is there.
const (
	experiments = "Experiments"
	thisMachine = "This machine"
)

// addLab adds the commands that work on a cluster, and those of experiments.
func addLab(root *cobra.Command, env func(string) string) *lab {
	l := &lab{env: env}
	root.Short = "Clusters of real peers, started, broken and measured, in containers or in virtual time"
	flags := root.PersistentFlags()
	flags.StringVar(&l.cluster, "cluster", env("PEERLAB_CLUSTER"), "`NAME` of the cluster, if there are several (or PEERLAB_CLUSTER)")
	flags.StringVarP(&l.format, "format", "o", formatText, "`text|json`, or wide where a table has more columns")
	flags.StringVar(&l.fabric, "fabric-image", env("PEERLAB_FABRIC_IMAGE"), "`IMAGE` of what keeps and measures links (peerlab-fabric, or PEERLAB_FABRIC_IMAGE)")
	flags.StringVar(&l.color, "color", "auto", "`auto|always|never`: by itself only a terminal gets colors, and not if NO_COLOR is set")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if !slices.Contains(colorModes, l.color) {
			return usageError{fmt.Errorf("--color %q: one of %s", l.color, strings.Join(colorModes, ", "))}
		}
		if err := checkCluster(cmd); err != nil {
			return err
		}
		return l.checkFormat(cmd)
	}
	for _, g := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"Clusters", []*cobra.Command{l.upCommand(), l.downCommand(), l.clustersCommand(), l.psCommand()}},
		{"In and from peers", []*cobra.Command{l.attachCommand(), l.execCommand(), l.logsCommand(), l.eventsCommand()}},
		{"What happens to peers", []*cobra.Command{
			l.killCommand(), l.stopCommand(), l.startCommand(), l.restartCommand(), l.pauseCommand(), l.resumeCommand(), l.throttleCommand(),
		}},
		{"What happens to links", []*cobra.Command{l.partitionCommand(), l.cutCommand(), l.linkCommand(), l.healCommand(), l.linksCommand()}},
		{experiments, []*cobra.Command{
			l.runCommand(), l.checkCommand(), l.galleryCommand(), l.exploreCommand(), l.sweepCommand(), l.compareCommand(), l.runsCommand(),
		}},
		{thisMachine, []*cobra.Command{l.doctorCommand(env), l.cleanCommand()}},
	} {
		if g.title == experiments {
			for _, c := range g.commands {
				experiment(c)
				for _, below := range c.Commands() {
					experiment(below)
				}
			}
		}
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title + ":"})
		for _, c := range g.commands {
			c.GroupID = g.title
		}
		root.AddCommand(g.commands...)
	}
	for _, c := range root.Commands() {
		c.SetFlagErrorFunc(flagError)
	}
	return l
}

// checkCluster refuses --cluster for a command that would not look at it.
func checkCluster(cmd *cobra.Command) error {
	if !cmd.Flags().Changed("cluster") {
		return nil
	}
	for c := cmd; c != nil; c = c.Parent() {
		switch c.GroupID {
		case experiments:
			return usageError{fmt.Errorf("%s takes no --cluster: experiments run on new clusters of their own", cmd.CommandPath())}
		case thisMachine:
			return usageError{fmt.Errorf("%s takes no --cluster: it is for all of this machine", cmd.CommandPath())}
		}
	}
	return nil
}

// flagError is wrong usage of a flag.
func flagError(c *cobra.Command, err error) error { return usageError{usage.Flag(c, err)} }

// connect connects to Docker.
func (l *lab) connect(ctx context.Context) (*dockerd.Daemon, error) {
	d, err := dockerd.Connect(ctx)
	if err != nil {
		where, _ := dockerd.CurrentEndpoint() // whose error is err
		if proxy := daemonProxy(where.Host); proxy != "" {
			err = fmt.Errorf("%w; it was asked through the proxy %s: put its host into NO_PROXY to ask it directly", err, proxy)
		}
		return nil, inconclusiveError{err}
	}
	d.FabricImage = l.fabric
	return d, nil
}

// on calls f with the cluster that --cluster names, or the only one.
func (l *lab) on(cmd *cobra.Command, f func(c *docker.Cluster) error) error {
	d, err := l.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer d.Close()
	c, err := docker.Find(cmd.Context(), d, l.cluster)
	if err != nil {
		return err
	}
	return errors.Join(f(c), c.Close(cmd.Context()))
}

// atLeast wants so many arguments, none wants exactly none.
func atLeast(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return usageError{fmt.Errorf("%s needs %s: see %s --help", cmd.Name(), what, cmd.CommandPath())}
		}
		return nil
	}
}

func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("%s takes %s: see %s --help", cmd.Name(), what, cmd.CommandPath())}
		}
		return nil
	}
}

// printJSON writes v on one line, safe on a terminal.
func printJSON(cmd *cobra.Command, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // "alice -> bob"
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := cmd.OutOrStdout().Write(terminal.EscapeJSON(b.Bytes()))
	return err
}

// printPeers writes one line for each peer. What a peer may use of a processor has
// a column where one is throttled.
func (l *lab) printPeers(cmd *cobra.Command, peers []docker.Status) error {
	if l.json() {
		if peers == nil {
			peers = []docker.Status{}
		}
		return printJSON(cmd, peers)
	}
	throttled := slices.ContainsFunc(peers, func(p docker.Status) bool { return p.CPUs > 0 })
	out := cmd.OutOrStdout()
	head := []string{"PEER", "STATE", "ADDRESS"}
	if throttled {
		head = []string{"PEER", "STATE", "CPUS", "ADDRESS"}
	}
	colors, table := l.palette(out), layout.NewTable(head...)
	for _, p := range peers {
		r := peerRow{Status: p}
		row := []string{terminal.Line(p.Name), colors.cell(stateText(p.Peer)), r.address()}
		if throttled {
			row = slices.Insert(row, 2, r.cpus())
		}
		table.Row(row...)
	}
	return table.Write(out)
}

func (l *lab) downCommand() *cobra.Command {
	return withFormats(&cobra.Command{
		Use: "down", Short: "Remove a cluster: its containers and its network", Args: exactly(0, "no argument"),
		Long: `Remove a cluster, started by peerlab up, make up or Compose: its containers, with
all they reported, and its network. The peers are not asked to leave.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return l.on(cmd, func(c *docker.Cluster) error {
				fmt.Fprintf(cmd.ErrOrStderr(), "removing the cluster %s\n", c.Name())
				if err := c.Remove(cmd.Context()); err != nil || !l.json() {
					return err
				}
				return printJSON(cmd, map[string]string{"removed": c.Name()})
			})
		},
	}, formatJSON)
}

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
