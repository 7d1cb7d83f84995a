//go:build linux

// Command fabric is what the lab runs beside the peers to break their network:
// the agent that keeps the rules, one per lab, and the probe that measures
// links, one per peer measured. Both come in one image, together with features,
// which tells what the kernel can.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"peerlab/internal/usage"
	"peerlab/testbed/fabric"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program and returns its exit status. It ends when ctx does,
// or on SIGTERM or SIGINT, with everything removed that it made.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	root := &cobra.Command{
		Use:               "fabric",
		Short:             "Cut, degrade and measure the links between peers",
		Args:              wrongUsage(cobra.NoArgs),
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		RunE: func(*cobra.Command, []string) error {
			return usage.Wrong(errors.New("choose a command: agent, probe or features"))
		},
	}
	usage.Help(root)
	root.Version = usage.Version()
	root.AddCommand(agentCommand(stdout, stderr), probeCommand(stdin, stdout), featuresCommand(stdout))
	return usage.Execute(ctx, root, args, stdout, stderr)
}

func agentCommand(stdout, stderr io.Writer) *cobra.Command {
	var config fabric.Config
	var socket string
	var uid int
	cmd := &cobra.Command{
		Use:   "agent --lab NAME --bridge DEVICE",
		Short: "Keep the link rules of a lab in force, as clients set them",
		Long: `Keep the link rules of a lab in force, as clients set them. It needs the host's network and
NET_ADMIN. It ends on SIGTERM or SIGINT, and when the bridge is gone; then all
its rules and queues are, too. To standard output it writes each change of the
links, as an event.`,
		Args: wrongUsage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if config.Lab == "" || config.Bridge == "" {
				return usage.Wrong(errors.New("--lab and --bridge must be given"))
			}
			// A matrix of 2,500 pairs makes 5 MB of garbage in as many
			// milliseconds; collected each time, it would be late by half as many.
			debug.SetGCPercent(1000)
			events, log := newOutputQueue(stdout), newOutputQueue(stderr)
			defer events.close()
			defer log.close()
			config.Log = slog.New(slog.NewTextHandler(log, nil))
			config.Changed = (&journal{out: events}).add
			if socket == "" {
				socket = fabric.SocketOf(config.Lab)
			}
			agent, err := fabric.NewAgent(config)
			if err != nil {
				return err
			}
			ctx, stop := context.WithCancel(cmd.Context())
			defer stop()
			l, err := fabric.Listen(socket, uid, config.Log)
			if err != nil {
				stop()
				return errors.Join(err, agent.Run(ctx)) // it removes what it made
			}
			config.Log.Info("listening", "socket", socket, "lab", config.Lab, "bridge", config.Bridge)
			return agent.Serve(ctx, l)
		},
	}
	f := cmd.Flags()
	f.StringVar(&config.Lab, "lab", "", "`NAME` of the lab")
	f.StringVar(&config.Bridge, "bridge", "", "`DEVICE` to which the peers are attached, for Docker br-…")
	f.StringVar(&socket, "socket", "", "`PATH` to listen on, with @ first one without a file (default @peerlab-fabric-NAME)")
	f.IntVar(&uid, "uid", 0, "user whose processes may ask, beside root")
	return cmd
}

func probeCommand(stdin io.Reader, stdout io.Writer) *cobra.Command {
	port := uint16(fabric.ProbePort)
	cmd := &cobra.Command{
		Use:   "probe",
		Short: "Send and receive what standard input says, until it ends",
		Long: `Send and receive packets as standard input says, until it ends, and tell on
standard output what came. It needs the network of the peer and no privilege.`,
		Args: wrongUsage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			probe, err := fabric.NewProbe(port)
			if err != nil {
				return err
			}
			served := make(chan error, 1)
			go func() { served <- probe.Serve(cmd.Context(), stdin, stdout) }()
			select {
			case err = <-served:
			case <-cmd.Context().Done(): // a read of standard input cannot be ended
			}
			return errors.Join(err, probe.Close())
		},
	}
	cmd.Flags().Uint16Var(&port, "port", port, "`PORT` of UDP and TCP; that of all probes of a lab must be the same")
	return cmd
}

func featuresCommand(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "features",
		Short: "Say as JSON what the kernel can, by trying it",
		Long: `Say as JSON what the kernel can, by trying it. It needs NET_ADMIN, but not the
host's network, and leaves nothing.`,
		Args: wrongUsage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			features, err := fabric.Detect()
			if err != nil {
				return err
			}
			return json.NewEncoder(stdout).Encode(features)
		},
	}
}

// wrongUsage marks a failed check of arguments as a mistake in the command line.
func wrongUsage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage.Wrong(err)
		}
		return nil
	}
}
