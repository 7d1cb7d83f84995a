package fabric

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"
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

// Link is what one pair's packets suffer. The zero Link is healthy.
type Link struct {
	// Drop names the packets that never pass.
	Drop Drop
	// Over drops IP packets longer than this many bytes, 68 to 65534, without
	// a word to their sender: an MTU black hole. Zero drops none. Segments
	// that the sender's kernel leaves to be cut by the network card count in
	// one piece: choose a value below the MTU of the network.
	Over int
	// Loss is the share of packets dropped at random, in per cent.
	Loss float64
	// Shape holds back what passes.
	Shape Shape
}

// Drop names a kind of packets.
type Drop uint8

// What a link can drop.
const (
	DropNone Drop = iota
	// DropUDP leaves TCP and ICMP alone.
	DropUDP
	// DropTCP leaves UDP and ICMP alone; connections that stand fall silent.
	DropTCP
	// DropAll drops every IPv4 packet.
	DropAll
)

// Shape is what queues do to a link's packets. The zero Shape does nothing.
// It acts where packets leave the bridge for their destination, hence on this
// direction alone: for a round trip, shape both pairs.
//
// Packets under way when the shape of their link changes are lost.
type Shape struct {
	// Delay is added to every packet, up to two minutes.
	Delay time.Duration
	// Jitter spreads the delay evenly over Delay ± Jitter; it must not exceed
	// Delay. Packets closer together than the jitter overtake each other.
	Jitter time.Duration
	// Reorder is the share of packets, in per cent, that are not delayed and
	// so overtake others; it needs a Delay.
	Reorder float64
	// Duplicate is the share of packets that arrive twice, in per cent. Recent
	// kernels (Debian's 6.1.192 is one) refuse it beside a different Shape of
	// another link to the same destination; a Rate does not count.
	Duplicate float64
	// Corrupt is the share of packets in which a bit is flipped, in per cent.
	// Checksums catch it, so to a peer it is loss.
	Corrupt float64
	// Rate limits the link to this many bits per second, 8,000 to 10 billion;
	// what exceeds it waits for up to about 200 ms, then is lost. Zero is no
	// limit. Each pair has a rate of its own.
	Rate uint64
}

// netem reports whether the shape needs the kernel's netem.
func (s Shape) netem() bool {
	return s.Delay != 0 || s.Jitter != 0 || s.Reorder != 0 || s.Duplicate != 0 || s.Corrupt != 0
}

// Partition cuts every pair of peers that are in different groups, both ways.
// A peer in no group keeps all its links; see [Rest]. It fails if a peer is
// named twice.
func Partition(groups ...[]netip.Addr) (Matrix, error) {
	home := make(map[netip.Addr]int)
	var problems problems
	for i, group := range groups {
		for j, addr := range group {
			if other, ok := home[addr]; ok {
				problems.add("groups[%d][%d]: %s is in groups[%d] already: groups must not overlap", i, j, addr, other)
			}
			home[addr] = i
		}
	}
	if err := problems.err(); err != nil {
		return nil, err
	}
	m := make(Matrix)
	for from, a := range home {
		for to, b := range home {
			if a != b {
				m[Pair{from, to}] = Link{Drop: DropAll}
			}
		}
	}
	return m, nil
}

// Rest returns those of all that are in none of the groups, in their order.
func Rest(all []netip.Addr, groups ...[]netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(all), func(addr netip.Addr) bool {
		return slices.ContainsFunc(groups, func(g []netip.Addr) bool { return slices.Contains(g, addr) })
	})
}

// Over returns m with over laid on it: for each pair in both, what the link in
// over sets wins and the rest stays. Neither is changed.
func (m Matrix) Over(over Matrix) Matrix {
	sum := make(Matrix, len(m)+len(over))
	maps.Copy(sum, m)
	for pair, top := range over {
		sum[pair] = sum[pair].over(top)
	}
	return sum
}

func (l Link) over(top Link) Link {
	return Link{
		Drop: cmp.Or(top.Drop, l.Drop),
		Over: cmp.Or(top.Over, l.Over),
		Loss: cmp.Or(top.Loss, l.Loss),
		Shape: Shape{
			Delay:     cmp.Or(top.Shape.Delay, l.Shape.Delay),
			Jitter:    cmp.Or(top.Shape.Jitter, l.Shape.Jitter),
			Reorder:   cmp.Or(top.Shape.Reorder, l.Shape.Reorder),
			Duplicate: cmp.Or(top.Shape.Duplicate, l.Shape.Duplicate),
			Corrupt:   cmp.Or(top.Shape.Corrupt, l.Shape.Corrupt),
			Rate:      cmp.Or(top.Shape.Rate, l.Shape.Rate),
		},
	}
}

// Pairs returns the pairs that m holds, in order.
func (m Matrix) Pairs() []Pair {
	pairs := slices.AppendSeq(make([]Pair, 0, len(m)), maps.Keys(m))
	slices.SortFunc(pairs, comparePairs)
	return pairs
}
