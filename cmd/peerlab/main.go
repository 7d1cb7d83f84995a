// Command peerlab is the laboratory's own tool.
package main

import (
	"cmp"
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"peerlab/internal/terminal"
	"peerlab/testbed/docker/dockerd"
)

func main() {
	if status, asked := dockerd.RunWatchdogIfRequested(); asked {
		os.Exit(status)
	}
	os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the whole program and returns its exit status.
func run(args []string, env func(string) string, stdout, stderr io.Writer) int {
	// What peers say comes from elsewhere: on a terminal it must do nothing.
	stdout, flushOutput := terminal.Guard(stdout)
	stderr, flushErrors := terminal.Guard(stderr)
	defer func() { _, _ = flushOutput(), flushErrors() }()
	root := newRoot(env)
	var refused error
	refuseUnknown(root, &refused)
	root.SetArgs(joinArrows(args))
	root.SetOut(stdout)
	root.SetErr(stderr)
	ownCompletionCommand(root)
	ctx, stop := untilSignal(context.Background())
	defer stop()
	err := cmp.Or(root.ExecuteContext(ctx), refused)
	status := exitStatus(ctx, err)
	if err != nil {
		printError(stderr, err, status, root.PersistentFlags().Lookup("format").Value.String() == formatJSON || asksJSON(args))
	}
	return status
}

// asksJSON reports whether JSON is asked for by arguments of which some may be
// wrong: reading them ends at the first wrong flag.
func asksJSON(args []string) bool {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.SetOutput(io.Discard)
	flags.BoolP("help", "h", false, "")
	format := flags.StringP("format", "o", formatText, "")
	return flags.Parse(args) == nil && *format == formatJSON
}

// joinArrows puts an arrow that is an argument of its own, which would be read as
// flags, behind the argument before it.
func joinArrows(args []string) []string {
	joined := make([]string, 0, len(args)) // never nil: cobra would take the process's own
	for i, arg := range args {
		switch {
		case arg == "--":
			return append(joined, args[i:]...)
		case arg == "->" && i > 0:
			joined[len(joined)-1] += " ->"
		default:
			joined = append(joined, arg)
		}
	}
	return joined
}

// untilSignal returns a context that SIGINT or SIGTERM cancels, with a
// signalError as its cause.
func untilSignal(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case s := <-signals:
			cancel(signalError{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
		<-done
	}
}
