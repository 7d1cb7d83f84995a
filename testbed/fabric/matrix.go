package fabric

import (
	"maps"
	"net/netip"
	"slices"

	"peerlab/testbed"
)

// Matrix says what happens to packets, for each ordered pair of addresses. A
// pair it does not hold has a healthy link; an empty matrix heals everything.
// It is a plain value: nothing changes in the kernel until it is applied.
type Matrix map[Pair]Link

// Pair names the packets that one peer sends to another. The way back is
// another pair.
type Pair struct {
	From, To netip.Addr
}

// Back returns the pair of the opposite direction.
func (p Pair) Back() Pair { return Pair{From: p.To, To: p.From} }

// String returns "10.0.0.1 -> 10.0.0.2".
func (p Pair) String() string { return p.From.String() + " -> " + p.To.String() }

func comparePairs(a, b Pair) int {
	if c := a.From.Compare(b.From); c != 0 {
		return c
	}
	return a.To.Compare(b.To)
}

type (
	// Link is what a link suffers, the same for every engine.
	Link = testbed.Link
	// Drop is what a link does not let through.
	Drop = testbed.Drop
	// Shape is what a link does to what it lets through.
	Shape = testbed.Shape
)

// What a link can drop.
const (
	DropNone = testbed.DropNone
	DropUDP  = testbed.DropUDP
	DropTCP  = testbed.DropTCP
	DropAll  = testbed.DropAll

	DropPartition = testbed.DropPartition
)

// netem reports whether the shape needs the kernel's netem.
func netem(s Shape) bool { return slices.Contains(Link{Shape: s}.KernelNeeds(), schNetem) }

// Pairs returns the pairs that m holds, in order.
func (m Matrix) Pairs() []Pair {
	pairs := slices.AppendSeq(make([]Pair, 0, len(m)), maps.Keys(m))
	slices.SortFunc(pairs, comparePairs)
	return pairs
}
