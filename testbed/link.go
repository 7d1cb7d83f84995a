package testbed

import (
	"fmt"
	"strings"
	"time"
)

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
	// Every drops each packet whose number is a multiple of it, counted from the
	// moment the link became so: 3 drops the third, the sixth, and so on. Zero
	// drops none.
	Every int
	// Shape holds back what passes.
	Shape Shape
}

// Drop is a set of kinds of packets, as bits.
type Drop uint8

// What a link can drop.
const (
	// DropUDP leaves TCP and ICMP alone.
	DropUDP Drop = 1 << iota
	// DropTCP leaves UDP and ICMP alone; established connections fall silent.
	DropTCP
	// DropPartition drops every IPv4 packet because the two peers are on
	// different sides of a partition. The next partition takes it away.
	DropPartition

	DropNone Drop = 0
	// DropAll drops every IPv4 packet.
	DropAll = DropUDP | DropTCP
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
	// what exceeds it waits in a queue, see [TokenBucket], or is lost. Zero is
	// no limit. Each pair has a rate of its own.
	Rate uint64
}

// FrameHeader is what a Rate counts of a packet beside IP, in bytes: the header
// of Ethernet, as the kernel's queues do.
const FrameHeader = 14

// TokenBucket returns what a Rate is made of, on every engine, in bytes: how
// much passes immediately after a silence, and how much may wait (tc-tbf(8)).
// The burst is 10 ms of the rate, what arrives between two looks of a busy
// kernel, but at least two full packets. The queue is 200 ms of the rate, but at
// least four full packets: with fewer, a connection cannot find its pace.
func TokenBucket(rate uint64) (burst, queue uint64) {
	const packet = 1600 // Ethernet's longest, with room for tags
	return max(rate/8/100, 2*packet), max(rate/8/5, 4*packet)
}

// Drops reports whether the link lets no packet of that kind pass because it
// drops the kind. Loss is another matter.
func (l Link) Drops(kind Drop) bool {
	return l.Drop&DropPartition != 0 || l.Drop&kind == kind && kind != DropNone
}

// IsCut reports whether the link drops every packet.
func (l Link) IsCut() bool { return l.Drops(DropAll) }

// LostShare is the expected share of the packets that are lost for good among
// those that the link does not drop for their kind or length, from 0 to 1.
func (l Link) LostShare() float64 {
	return 1 - (1-l.Loss/100)*(1-l.EveryShare()/100)*(1-l.Shape.Corrupt/100)
}

// EveryShare is the share of packets that Every drops, in per cent.
func (l Link) EveryShare() float64 {
	if l.Every == 0 {
		return 0
	}
	return 100 / float64(l.Every)
}

// dropNames are the words for sets of kinds, larger sets first.
var dropNames = []struct {
	name string
	drop Drop
}{{"all", DropAll}, {"udp", DropUDP}, {"tcp", DropTCP}, {"partition", DropPartition}}

// String returns "none", "udp", "tcp", "all" or "partition", joined by + where
// there are several.
func (d Drop) String() string {
	if d == DropNone {
		return "none"
	}
	var words []string
	for _, n := range dropNames {
		if d&n.drop == n.drop {
			words = append(words, n.name)
			d &^= n.drop
		}
	}
	if d != DropNone {
		words = append(words, fmt.Sprintf("unknown(%d)", uint8(d)))
	}
	return strings.Join(words, "+")
}

// MarshalText writes what String returns.
func (d Drop) MarshalText() ([]byte, error) {
	if d&^(DropAll|DropPartition) != 0 {
		return nil, fmt.Errorf("drop %d is unknown", uint8(d))
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads what String returns.
func (d *Drop) UnmarshalText(text []byte) error {
	*d = DropNone
	if string(text) == "none" {
		return nil
	}
next:
	for word := range strings.SplitSeq(string(text), "+") {
		for _, n := range dropNames {
			if n.name == word {
				*d |= n.drop
				continue next
			}
		}
		return fmt.Errorf("drop %q is unknown: none, udp, tcp and all are known", text)
	}
	return nil
}
