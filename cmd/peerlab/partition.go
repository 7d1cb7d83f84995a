package main

import (
	"github.com/spf13/cobra"
)

func (l *lab) partitionCommand() *cobra.Command {
	return l.onLinks(&cobra.Command{
		Use: "partition A,B / C,D [/ rest]", Short: "Divide the cluster into groups: no packet gets from one group to another",
		Long: `Divide the cluster into groups: no packet gets from one group to another, not even on
open TCP connections. A peer that is in no group keeps all its links: it is a bridge.
rest is all peers that are in no other group.

A partition describes the whole division and replaces the previous one. Cuts and
degraded links stay. peerlab heal ends it.`,
		Example: "  peerlab partition alice,bob / rest\n  peerlab partition alice / bob            # the other peers reach both\n  peerlab partition alice,bob / charly / rest --for 30s",
		Args:    atLeast(1, "groups of peers, such as alice,bob / rest"), ValidArgsFunction: l.completeGroups,
	})
}
