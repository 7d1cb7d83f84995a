package main

import (
	"github.com/spf13/cobra"
)

func (l *lab) healCommand() *cobra.Command {
	return l.onLinks(&cobra.Command{
		Use: "heal [PEER…|FROM:TO]", Short: "Heal all links, the links of some peers, or single links",
		Long: `Heal all links, the links from and to the named peers, or the links that an arrow
names: 'alice -> bob', alice:bob. peerlab events shows whether the peers find each
other again.`,
		ValidArgsFunction: l.completeHeal,
	})
}
