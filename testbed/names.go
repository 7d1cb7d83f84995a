package testbed

import (
	"fmt"
	"regexp"
	"strings"

	"peerlab/internal/suggest"
)

// Bootstrap is the name of the bootstrap service. No peer has it.
const Bootstrap = "bootstrap"

// MaxPeers is how many peers a cluster can have.
const MaxPeers = 1000

var given = []string{
	"alice", "bob", "charly", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy",
	"kim", "leo", "mallory", "nina", "olivia", "peggy", "quentin", "rupert", "sybil", "trent",
	"uma", "victor", "walter", "xenia", "yves", "zoe",
}

// Names returns the names of a cluster of n peers: alice, bob, … and, when
// given names run out, peer27, peer28, ….
func Names(n int) []string {
	names := make([]string, 0, max(n, 0))
	for i := range n {
		if i < len(given) {
			names = append(names, given[i])
		} else {
			names = append(names, fmt.Sprintf("peer%d", i+1))
		}
	}
	return names
}

var valid = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// CheckName returns an error for what cannot name a peer or a cluster. A name
// is a host name too, in all engines.
func CheckName(name string) error {
	if !valid.MatchString(name) {
		return fmt.Errorf("%q is no name: want up to 32 of a-z, 0-9 and -, not at either end", name)
	}
	return nil
}

// NoPeer returns an ErrNoPeer for name that says who was probably meant, or
// who there is.
func NoPeer(name string, known []string) error {
	if near := suggest.Similar(name, known); len(near) > 0 {
		return fmt.Errorf("%w as %q: did you mean %s?", ErrNoPeer, name, strings.Join(near, ", "))
	}
	if len(known) == 0 {
		return fmt.Errorf("%w as %q: the cluster is empty", ErrNoPeer, name)
	}
	const shown = 10
	list := strings.Join(known[:min(shown, len(known))], ", ")
	if len(known) > shown {
		list += ", …"
	}
	return fmt.Errorf("%w as %q: there are %s", ErrNoPeer, name, list)
}
