package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"peerlab/internal/terminal"
	"peerlab/testbed/docker"
)

// shellStatus is how an attached shell ended, if not well.
type shellStatus int

func (s shellStatus) Error() string { return fmt.Sprintf("the shell ended with status %d", int(s)) }

func (l *lab) attachCommand() *cobra.Command {
	return &cobra.Command{
		Use: "attach PEER", Short: "Open a shell in a peer; Ctrl-D leaves the shell, the peer keeps running",
		Long: `Open a shell in a peer. Ctrl-D leaves the shell, and the peer keeps running. Ctrl-]
leaves at any time, also while the peer is paused. A paused peer reads no input: what
you type is dropped, and Ctrl-C and Ctrl-D leave, too. If the peer is paused, killed,
stopped or removed, the terminal says so, and how to bring it back. The exit status is
0 if you left or the peer ended with 0, as after quit, and 1 otherwise.`,
		Args: exactly(1, "the name of one peer"), ValidArgsFunction: l.completeAttach,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stdout.Fd())) {
				return usageError{fmt.Errorf("attach needs a terminal: without one, use %s", docker.CommandLine(l.cluster, "exec", args[0], "--", "LINE"))}
			}
			return l.on(cmd, func(c *docker.Cluster) error { return attach(cmd.Context(), c, args[0]) })
		},
	}
}

// attach connects this terminal with a peer's shell.
func attach(ctx context.Context, c *docker.Cluster, name string) error {
	window := make(chan os.Signal, 1)
	terminal.NotifyResize(window)
	defer signal.Stop(window)
	resized, end := make(chan struct{}), make(chan struct{})
	relayed := make(chan struct{})
	go func() {
		defer close(relayed)
		for {
			select {
			case <-window:
			case <-end:
				return
			}
			select {
			case resized <- struct{}{}:
			case <-end:
				return
			}
		}
	}()
	defer func() { close(end); <-relayed }()

	stdin := int(os.Stdin.Fd())
	before, err := term.MakeRaw(stdin)
	if err != nil {
		return fmt.Errorf("put the terminal into raw mode: %w", err)
	}
	status, err := c.Attach(ctx, name, docker.Terminal{
		In: os.Stdin, Out: os.Stdout, Term: os.Getenv("TERM"), Resized: resized,
		Size: func() (int, int) { return terminal.Size(os.Stdin) },
	})
	if err := term.Restore(stdin, before); err != nil {
		return fmt.Errorf("restore the terminal (the command reset does that): %w", err)
	}
	if err == nil && status != 0 {
		return shellStatus(status)
	}
	return err
}
