// Command peerlab is the laboratory's own tool.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"peerlab/internal/terminal"
	"peerlab/internal/usage"
	"peerlab/internal/usage/man"
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

// oneLine is what is said of an error: of several, the first few.
func oneLine(err error, interrupted bool) string {
	const shown = 3
	lines := strings.Split(err.Error(), "\n")
	if interrupted {
		// The rest is how each of the requests under way ended.
		lines = lines[:1]
		switch {
		case strings.HasPrefix(lines[0], "interrupted"):
		case errors.As(err, new(*url.Error)) && errors.Is(err, context.Canceled): // its text is a URL of Docker's
			lines[0] = "interrupted while Docker was asked"
		default:
			lines[0] = "interrupted: " + lines[0]
		}
	}
	if more := len(lines) - shown; more > 0 {
		lines = append(lines[:shown], fmt.Sprintf("and %d more", more))
	}
	return terminal.Line(strings.Join(lines, "; "))
}

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
