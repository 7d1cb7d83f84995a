package main

import (
	"github.com/spf13/cobra"
)

// ends explains how a direction is written on a command line.
const ends = `FROM and TO are peers, separated by commas, or all, or rest: those not at the other
end. Only packets in that direction are meant; --both means the way back, too. An
arrow is understood as well where it is quoted, for to a shell > is a redirection:
'alice -> bob', 'alice <-> bob'; and so is alice:bob.`

func (l *lab) cutCommand() *cobra.Command {
	return l.onLinks(&cobra.Command{
		Use: "cut FROM TO [drop=udp|tcp]", Short: "Drop all packets from some peers to others: one way, or --both",
		Long: `Drop all packets from some peers to others, or with drop=udp or drop=tcp those of
one protocol. What else is in force stays: a cut lets nothing through that was
dropped before. peerlab heal ends it.

` + ends,
		Example: "  peerlab cut alice bob                    # bob still reaches alice\n  peerlab cut alice,bob rest --both\n  peerlab cut alice rest drop=udp --for 1m\n  peerlab cut 'alice <-> bob'",
		Args:    atLeast(1, "from whom to whom, such as alice bob"), ValidArgsFunction: l.completeLink("drop=udp", "drop=tcp"),
	})
}
