package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"peerlab/internal/terminal"
	"peerlab/peer"
	chatapp "peerlab/peer/chat/app"
	"peerlab/peer/command"
	"peerlab/peer/control"
	"peerlab/testbed"
	"peerlab/testbed/docker"
)

// rawFlag adds --raw to a command that shows what a peer says.
func rawFlag(cmd *cobra.Command, raw *bool) {
	cmd.Flags().BoolVar(raw, "raw", false, "write what the peer says as it is to a terminal, control sequences included")
}

// outputs are where a command's output and errors go.
func outputs(cmd *cobra.Command, raw bool) (out, errs io.Writer) {
	out, errs = cmd.OutOrStdout(), cmd.ErrOrStderr()
	if raw {
		out, errs = terminal.Raw(out), terminal.Raw(errs)
	}
	return out, errs
}

func (l *lab) execCommand() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use: "exec PEER -- LINE", Short: "Run one line in a peer and exit with its status",
		Long: `Run one line in a peer and exit with its status. PEER may be several, such as
alice,bob or all: the line runs in all at the same time, what they answer begins with
the name, those named first come first unless they take a second, and the status is 1
if it fails in one. Several arguments are taken as
they are, each as one word, and joined by single blanks where the command takes a
text; a single one is a line like one typed in the shell.
An argument - of a command that can read standard input, such as execute or keys
install, hands it that. The line goes to the container by standard input: Docker's
events do not show it. On a terminal, what the peer answers is shown without what a
terminal would act on; --raw, a file or a pipe gets every byte.`,
		Example: "  peerlab exec alice -- members\n  peerlab exec alice -- 'msg hello, everyone'\n  peerlab exec alice -- execute - <script",
		Args:    atLeast(2, "the name of a peer and a line"), ValidArgsFunction: l.completeExec,
		RunE: func(cmd *cobra.Command, args []string) error {
			if peers := cmd.ArgsLenAtDash(); peers > 1 {
				return usageError{fmt.Errorf("exec takes several peers as one word: %s", strings.Join(args[:peers], ","))}
			}
			line := strings.Join(args[1:], " ")
			var in testbed.Input
			if len(args) > 2 {
				in.Words = args[1:]
			}
			return l.on(cmd, func(c *docker.Cluster) error {
				if readsInput(line, in.Words) {
					text, err := control.ReadStdin(cmd.Context(), cmd.InOrStdin())
					if err != nil {
						return err
					}
					in.Stdin = &text
				}
				names, err := selectPeers(cmd.Context(), c, args[:1])
				if err != nil {
					return err
				}
				if in.Columns, _ = terminal.Size(os.Stdout); in.Columns > 0 && len(names) > 1 {
					in.Columns = max(1, in.Columns-len(linePrefix(names, "")))
				}
				out, errs := outputs(cmd, raw)
				return inEach(names, namesIfSoon, out, errs, func(name string, out, _ io.Writer) error {
					return c.Exec(cmd.Context(), name, line, in, out)
				})
			})
		},
	}
	rawFlag(cmd, &raw)
	return annotate(cmd, insteadAnnotation, "the peer's command may have, as in members -format json")
}

// readsInput reports whether a line, or its words, reads standard input. A command that only
// the peer knows reads it if nobody has to type it.
func readsInput(line string, words []string) bool {
	if len(words) == 0 {
		var err error
		if words, err = command.Split(line); err != nil {
			return false // it is a text, or fails
		}
	}
	p, err := peer.New(chatapp.NewConfig("peer"))
	if err != nil {
		return false
	}
	reads, known := p.Commands().ReadsInput(words)
	return reads || !known && !term.IsTerminal(int(os.Stdin.Fd()))
}

// shellStatus is how an attached shell ended, if not well.
type shellStatus int

func (s shellStatus) Error() string { return fmt.Sprintf("the shell ended with status %d", int(s)) }

func (l *lab) attachCommand() *cobra.Command {
	return &cobra.Command{
		Use: "attach PEER", Short: "Open a shell inside a peer; Ctrl-D leaves it, the peer goes on",
		Long: `Open a shell inside a peer. Ctrl-D leaves it and the peer goes on. Ctrl-] leaves at
any time, also while the peer is paused: then it hears nothing, what is typed is
dropped, and Ctrl-C and Ctrl-D leave, too. When the peer is paused, killed, stopped
or removed, the terminal says so, and what brings it back. The status is 0 if you
left or the peer ended with 0, as after quit, and 1 if not.`,
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
		return fmt.Errorf("restore the terminal, the command reset does it: %w", err)
	}
	if err == nil && status != 0 {
		return shellStatus(status)
	}
	return err
}

// unlessInterrupted returns err, or nil when Ctrl-C ended what has no other
// end.
func unlessInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
