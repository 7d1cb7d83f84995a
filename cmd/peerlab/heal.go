package main

import (
	"github.com/spf13/cobra"
)

func (l *lab) healCommand() *cobra.Command {
	return l.onLinks(&cobra.Command{
		Use: "heal [PEER…|FROM:TO]", Short: "Make all links healthy, those from and to some peers, or those named",
		Long: `Make all links healthy, those from and to the named peers, or those that an arrow
names: 'alice -> bob', alice:bob. Whether the peers find
each other again is theirs to tell: see peerlab events.`,
		ValidArgsFunction: l.completeHeal,
	})
}
