package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/testbed"
)

func (l *lab) linkCommand() *cobra.Command {
	return l.onLinks(&cobra.Command{
		Use: "link FROM TO KEY=VALUE…", Short: "Degrade links with loss, delay, rate and more, in one direction or with --both",
		Long: `Degrade the links from some peers to others. A key replaces its previous value, and
keys that are not given keep theirs; loss=0 removes a loss.

` + linkKeyHelp() + `
The keys from delay on need a kernel with netem or tbf: peerlab doctor checks yours.

` + ends,
		Example: "  peerlab link alice bob loss=20%\n  peerlab link all all delay=50ms±10ms\n  peerlab link alice rest rate=256kbit --both --for 5m\n  peerlab link 'alice <-> bob' over=1000",
		Args:    atLeast(1, "from whom to whom and what, such as alice bob loss=20%"), ValidArgsFunction: l.completeLink(linkWords()...),
	})
}

// linkKeyHelp has a line for each key of a link.
func linkKeyHelp() string {
	var b strings.Builder
	for _, key := range testbed.LinkKeys() {
		fmt.Fprintf(&b, "  %-24s  %s\n", key.Example, key.Text)
	}
	return b.String()
}
