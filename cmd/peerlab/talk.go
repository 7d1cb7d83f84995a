package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"peerlab/event"
	"peerlab/peer"
	"peerlab/peer/chat/chatapp"
	"peerlab/peer/command"
	"peerlab/peer/control"
	"peerlab/terminal"
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
the name, and the status is 1 if it fails in one. Several arguments are taken as
they are, each as one word, and joined by single blanks where the command takes a
text; a single one is a line like one typed in the shell.
An argument - of a command that can read standard input, such as execute or keys
install, hands it that. The line goes to the container by standard input: Docker's
events do not show it. On a terminal, what the peer answers is shown without what a
terminal would act on; --raw, a file or a pipe gets every byte.`,
		Example: "  peerlab exec alice -- members\n  peerlab exec alice -- 'msg hello, everyone'\n  peerlab exec alice -- execute - <script",
		Args:    atLeast(2, "the name of a peer and a line"), ValidArgsFunction: l.onePeer,
		RunE: func(cmd *cobra.Command, args []string) error {
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
				if in.Columns, _, err = term.GetSize(int(os.Stdout.Fd())); err != nil {
					in.Columns = 0 // it goes to a file or a pipe
				} else if len(names) > 1 {
					in.Columns = max(1, in.Columns-len(linePrefix(names, "")))
				}
				out, errs := outputs(cmd, raw)
				return inEach(names, out, errs, func(name string, out, _ io.Writer) error {
					return c.Exec(cmd.Context(), name, line, in, out)
				})
			})
		},
	}
	rawFlag(cmd, &raw)
	return cmd
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
		Args: exactly(1, "the name of one peer"), ValidArgsFunction: l.onePeer,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stdout.Fd())) {
				return usageError{fmt.Errorf("attach needs a terminal: without one, use peerlab exec %s -- LINE", args[0])}
			}
			return l.on(cmd, func(c *docker.Cluster) error { return attach(cmd.Context(), c, args[0]) })
		},
	}
}

// attach connects this terminal with a peer's shell.
func attach(ctx context.Context, c *docker.Cluster, name string) error {
	window := make(chan os.Signal, 1)
	signal.Notify(window, syscall.SIGWINCH)
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
		Size: func() (int, int) {
			columns, rows, err := term.GetSize(stdin)
			if err != nil {
				return 80, 24
			}
			return columns, rows
		},
	})
	if err := term.Restore(stdin, before); err != nil {
		return fmt.Errorf("restore the terminal, the command reset does it: %w", err)
	}
	if err == nil && status != 0 {
		return shellStatus(status)
	}
	return err
}

func (l *lab) logsCommand() *cobra.Command {
	var follow, raw bool
	cmd := &cobra.Command{
		Use: "logs PEER…", Short: "Show what peers wrote: events to standard output, their logs to standard error",
		Long: `Show what peers wrote: events to standard output, their logs to standard error. The
lines of several peers, such as alice,bob or all, begin with the name.`,
		Args: atLeast(1, "the name of a peer"), ValidArgsFunction: l.complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			return l.on(cmd, func(c *docker.Cluster) error {
				names, err := selectPeers(cmd.Context(), c, args)
				if err != nil {
					return err
				}
				out, errs := outputs(cmd, raw)
				return unlessInterrupted(cmd.Context(), inEach(names, out, errs, func(name string, out, errs io.Writer) error {
					return c.Logs(cmd.Context(), name, follow, out, errs)
				}))
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "until the peer ends, or Ctrl-C")
	rawFlag(cmd, &raw)
	return cmd
}

// unlessInterrupted returns err, or nil when Ctrl-C ended what has no other
// end.
func unlessInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// gather is how long events wait for earlier ones of other peers.
const gather = 100 * time.Millisecond

func (l *lab) eventsCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use: "events [PEER…]", Short: "Show what peers reported, in the order in which it happened", ValidArgsFunction: l.complete,
		Long: `Show what all peers reported since the cluster was made, in the order in which it
happened, or what the named ones did and what was done to them. With --follow, what they report from then on comes too, until the
cluster is gone; the order is then kept among events less than a tenth of a
second apart in arriving.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return l.on(cmd, func(c *docker.Cluster) error {
				of := func(event.Event) bool { return true }
				if len(args) > 0 {
					names, err := selectPeers(cmd.Context(), c, args)
					if err != nil {
						return err
					}
					of = func(e event.Event) bool {
						return slices.Contains(names, e.Peer) || e.Peer == testbed.Lab && slices.Contains(names, e.Member)
					}
				}
				if !follow {
					events, err := c.Reported(cmd.Context())
					return errors.Join(l.printEvents(cmd.OutOrStdout(), testbed.Sorted(events), of), err)
				}
				err := l.followEvents(cmd.Context(), c, cmd.OutOrStdout(), of)
				if errors.Is(err, testbed.ErrClosed) {
					fmt.Fprintf(cmd.ErrOrStderr(), "the cluster %s is gone\n", c.Name())
					return nil
				}
				return unlessInterrupted(cmd.Context(), err)
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "until the cluster is gone, or Ctrl-C")
	return cmd
}

func (l *lab) followEvents(ctx context.Context, c *docker.Cluster, out io.Writer, of func(event.Event) bool) error {
	shown := 0
	tick := time.NewTicker(gather)
	defer tick.Stop()
	for {
		if _, err := c.History().Read(ctx, shown); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		events, _ := c.History().Since(shown)
		shown += len(events)
		if err := l.printEvents(out, testbed.Sorted(events), of); err != nil {
			return err
		}
	}
}

func (l *lab) printEvents(out io.Writer, events []event.Event, of func(event.Event) bool) error {
	for _, e := range events {
		if !of(e) {
			continue
		}
		var err error
		if l.json() {
			_, err = out.Write(e.Encode())
		} else {
			_, err = fmt.Fprintln(out, terminal.Line(describe(e)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// describe is an event for people.
func describe(e event.Event) string {
	words := []string{e.Time.Local().Format("15:04:05.000"), fmt.Sprintf("%-10s %-16s", e.Peer, e.Kind)}
	for _, s := range []string{e.Member, e.Addr, e.Text, e.Reason, e.Error} {
		if s != "" {
			words = append(words, s)
		}
	}
	if e.Was != "" {
		words = append(words, "was "+e.Was)
	}
	return strings.TrimRight(strings.Join(words, "  "), " ")
}
