package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/internal/usage"
	"peerlab/internal/usage/man"
)

// Groups of commands that are not for a cluster that is there.
const (
	experiments = "Experiments"
	thisMachine = "This machine"
)

// addLab adds the commands that work on a cluster, and those of experiments.
func addLab(root *cobra.Command, env func(string) string) *lab {
	l := &lab{env: env}
	root.Short = "Start, break and measure clusters of real peers, in containers or in virtual time"
	flags := root.PersistentFlags()
	flags.StringVar(&l.cluster, "cluster", env("PEERLAB_CLUSTER"), "`NAME` of the cluster, needed if there are several (or PEERLAB_CLUSTER)")
	flags.StringVarP(&l.format, "format", "o", formatText, "`text|json`, or wide for tables with more columns")
	flags.StringVar(&l.fabric, "fabric-image", env("PEERLAB_FABRIC_IMAGE"), "`IMAGE` of the agent that changes and measures links (peerlab-fabric, or PEERLAB_FABRIC_IMAGE)")
	flags.StringVar(&l.color, "color", "auto", "`auto|always|never`: auto means only on a terminal, and not if NO_COLOR is set")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if !slices.Contains(colorModes, l.color) {
			return usageError{fmt.Errorf("--color %q must be one of %s", l.color, strings.Join(colorModes, ", "))}
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
		{"Shells, output and events of peers", []*cobra.Command{l.attachCommand(), l.execCommand(), l.logsCommand(), l.eventsCommand()}},
		{"Faults of peers", []*cobra.Command{
			l.killCommand(), l.stopCommand(), l.startCommand(), l.restartCommand(), l.pauseCommand(), l.resumeCommand(), l.throttleCommand(),
		}},
		{"Faults of links", []*cobra.Command{l.partitionCommand(), l.cutCommand(), l.linkCommand(), l.healCommand(), l.linksCommand()}},
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
			return usageError{fmt.Errorf("%s takes no --cluster: an experiment creates a new cluster", cmd.CommandPath())}
		case thisMachine:
			return usageError{fmt.Errorf("%s takes no --cluster: it concerns the whole machine", cmd.CommandPath())}
		}
	}
	return nil
}

// flagError is wrong usage of a flag.
func flagError(c *cobra.Command, err error) error { return usageError{usage.Flag(c, err)} }

func newRoot(env func(string) string) *cobra.Command {
	root := &cobra.Command{
		Use: "peerlab", Short: "The laboratory's own tool",
		SilenceErrors: true, SilenceUsage: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return usageError{usage.UnknownCommand(cmd, args[0])}
		},
	}
	usage.Help(root)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	l := addLab(root, env)
	var version bool
	root.Flags().BoolVar(&version, "version", false, "print the version")
	withFormats(root, formatJSON)
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if version {
			return l.printVersion(cmd)
		}
		if err := l.noJSON("help"); err != nil {
			return err
		}
		return cmd.Help()
	}
	root.AddCommand(l.envCommand(env), l.versionCommand(), man.Command())
	l.addCompletion(root)
	return root
}

// refuseUnknown has "peerlab nosuchword --help" and "peerlab help nosuchword" be
// wrong usage: the error is put into refused. Cobra looks at --help before it
// looks at arguments, shows the help of the root, and ends well.
func refuseUnknown(root *cobra.Command, refused *error) {
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if words := cmd.Flags().Args(); cmd == root && len(words) > 0 {
			*refused = usageError{usage.UnknownCommand(root, words[0])}
			return
		}
		help(cmd, args)
	})
	root.SetHelpCommand(helpCommand(root))
}
