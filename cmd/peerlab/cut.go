package main

import (
	"github.com/spf13/cobra"
)

// ends explains how a direction is written on a command line.
const ends = `FROM and TO are peers, separated by commas, or all, or rest: the peers that are not at
the other end. The command applies to packets in that direction; --both adds the
opposite one. A quoted arrow works, too: 'alice -> bob', 'alice <-> bob'. Without
quotes a shell takes > for a redirection. alice:bob means 'alice -> bob'.`

func (l *lab) cutCommand() *cobra.Command {
	return l.onLinks(&cobra.Command{
		Use: "cut FROM TO [drop=udp|tcp]", Short: "Drop all packets from some peers to others, in one direction or with --both",
		Long: `Drop all packets from some peers to others, or with drop=udp or drop=tcp the packets
of one protocol. Other faults stay: a cut does not let packets pass that were dropped
before. peerlab heal ends it.

` + ends,
		Example: "  peerlab cut alice bob                    # bob still reaches alice\n  peerlab cut alice,bob rest --both\n  peerlab cut alice rest drop=udp --for 1m\n  peerlab cut 'alice <-> bob'",
		Args:    atLeast(1, "from whom to whom, such as alice bob"), ValidArgsFunction: l.completeLink("drop=udp", "drop=tcp"),
	})
}
