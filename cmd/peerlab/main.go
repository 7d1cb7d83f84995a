// Command peerlab is the laboratory's own tool.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"peerlab/terminal"
	"peerlab/testbed/docker"
	"peerlab/usage"
)

func main() {
	if status, asked := docker.WatchIfAsked(); asked {
		os.Exit(status)
	}
	os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// usageError is wrong usage, as opposed to a failure: it exits with status 2.
type usageError struct{ error }

// run is the whole program and returns its exit status.
func run(args []string, env func(string) string, stdout, stderr io.Writer) int {
	// What peers say comes from elsewhere: on a terminal it must do nothing.
	stdout, flushOutput := terminal.Guard(stdout)
	stderr, flushErrors := terminal.Guard(stderr)
	defer func() { _, _ = flushOutput(), flushErrors() }()
	root := newRoot(env)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if status := shellStatus(0); errors.As(err, &status) {
		return int(status) // the shell has said why
	}
	if status := verdictStatus(0); errors.As(err, &status) {
		return int(status) // the table has said why
	}
	if wrong := new(problems); errors.As(err, wrong) {
		for line := range strings.Lines(wrong.Error()) {
			fmt.Fprintln(stderr, terminal.Line(strings.TrimSuffix(line, "\n")))
		}
		return 2
	}
	fmt.Fprintf(stderr, "peerlab: %s\n", oneLine(err, ctx.Err() != nil))
	if errors.As(err, new(usageError)) || errors.As(err, new(untoldError)) {
		return 2
	}
	return 1
}

// oneLine is what is said of an error: of several, the first few.
func oneLine(err error, interrupted bool) string {
	const shown = 3
	lines := strings.Split(err.Error(), "\n")
	if interrupted {
		// The rest is how each of the requests under way ended.
		lines = lines[:1]
		if !strings.HasPrefix(lines[0], "interrupted") {
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
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	addLab(root, env)
	root.AddCommand(envCommand(env), &cobra.Command{
		Use: "version", Short: "Print the version",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{errors.New("version takes no argument")}
			}
			return nil
		},
		Run: func(cmd *cobra.Command, _ []string) {
			version := "(unknown)"
			if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
				version = info.Main.Version
			}
			fmt.Fprintln(cmd.OutOrStdout(), "peerlab", version, runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
		},
	})
	return root
}
