package main

import (
	"fmt"
	"io"
	"os"
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

func (l *lab) execCommand() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use: "exec PEER -- LINE", Short: "Run one line in a peer, and exit with its status",
		Long: `Run one line in a peer and exit with its status. PEER may be several peers, such as
alice,bob or all. Then the line runs in all of them at the same time, and each line of
output begins with the name of its peer. The output is in the order of the names, but
does not wait more than a second for a peer. The status is 1 if one of them fails.

A single argument after PEER is a line as typed in the shell. Several arguments are one
word each, and a command that takes a text joins them with single blanks. An argument -
passes standard input to a command that can read it, such as execute or keys install.

The line reaches the container by standard input, so Docker's events do not show it. On
a terminal, control sequences are removed from the output; --raw, a file or a pipe gets
every byte.`,
		Example: "  peerlab exec alice -- members\n  peerlab exec alice -- 'msg hello, everyone'\n  peerlab exec alice -- execute - <script",
		Args:    atLeast(2, "the name of a peer and a line"), ValidArgsFunction: l.completeExec,
		RunE: func(cmd *cobra.Command, args []string) error {
			if peers := cmd.ArgsLenAtDash(); peers > 1 {
				return usageError{fmt.Errorf("exec takes several peers as one argument: %s", strings.Join(args[:peers], ","))}
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
