package main

import (
	"github.com/spf13/cobra"
)

func (l *lab) partitionCommand() *cobra.Command {
	return l.onLinks(&cobra.Command{
		Use: "partition A,B / C,D [/ rest]", Short: "Cut the cluster into groups: no packet passes from one to another",
		Long: `Cut the cluster into groups: no packet passes from one to another, TCP connections
that stand included. A peer in no group keeps all its links: it is a bridge. rest
is everybody in no other group.

A partition states the whole division and replaces the one before it; cuts and
degraded links stay. peerlab heal ends it.`,
		Example: "  peerlab partition alice,bob / rest\n  peerlab partition alice / bob            # the others reach both\n  peerlab partition alice,bob / charly / rest --for 30s",
		Args:    atLeast(1, "groups of peers, such as alice,bob / rest"), ValidArgsFunction: l.completeGroups,
	})
}
