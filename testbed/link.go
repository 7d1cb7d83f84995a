package testbed

import (
	"cmp"
	"fmt"
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

// Merge returns l with top laid on it: what top sets wins and the rest stays.
func (l Link) Merge(top Link) Link {
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

const (
	maxDelay = 2 * time.Minute // netem counts ticks of 64 ns in 32 bits: 274 s
	minRate  = 8_000
	maxRate  = 10_000_000_000
	minOver  = 68 // what every IPv4 link must carry (RFC 791)
	maxOver  = 65_534
)

// Problems says what is wrong with the link, field by field.
func (l Link) Problems() (wrong []string) {
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	percent := func(field string, v float64) {
		// The negation catches what is not a number, too.
		if !(v >= 0 && v <= 100) {
			add("%s: %g %% is not within 0 and 100", field, v)
		}
	}
	if l.Drop > DropAll {
		add("drop: %d is unknown: udp, tcp and all are known", l.Drop)
	}
	if l.Over != 0 && (l.Over < minOver || l.Over > maxOver) {
		add("over: %d bytes is not within %d and %d", l.Over, minOver, maxOver)
	}
	percent("loss", l.Loss)

	s := l.Shape
	if s.Delay < 0 || s.Delay > maxDelay {
		add("delay: %s is not within 0 and %s", s.Delay, maxDelay)
	}
	if s.Jitter < 0 || s.Jitter > max(s.Delay, 0) {
		add("jitter: %s is not within 0 and the delay of %s", s.Jitter, s.Delay)
	}
	percent("reorder", s.Reorder)
	if s.Reorder > 0 && s.Delay == 0 {
		add("reorder: it needs a delay, for packets overtake those that are delayed")
	}
	percent("duplicate", s.Duplicate)
	percent("corrupt", s.Corrupt)
	if s.Rate != 0 && (s.Rate < minRate || s.Rate > maxRate) {
		add("rate: %d bit/s is not within %d and %d", s.Rate, minRate, maxRate)
	}
	return wrong
}

// String returns "none", "udp", "tcp" or "all".
func (d Drop) String() string {
	if int(d) < len(dropNames) {
		return dropNames[d]
	}
	return fmt.Sprintf("drop %d", uint8(d))
}

var dropNames = [...]string{DropNone: "none", DropUDP: "udp", DropTCP: "tcp", DropAll: "all"}

// MarshalText writes what String returns.
func (d Drop) MarshalText() ([]byte, error) {
	if int(d) >= len(dropNames) {
		return nil, fmt.Errorf("drop %d is unknown", uint8(d))
	}
	return []byte(dropNames[d]), nil
}

// UnmarshalText reads what String returns.
func (d *Drop) UnmarshalText(text []byte) error {
	for i, name := range dropNames {
		if name == string(text) {
			*d = Drop(i)
			return nil
		}
	}
	return fmt.Errorf("drop %q is unknown: none, udp, tcp and all are known", text)
}
