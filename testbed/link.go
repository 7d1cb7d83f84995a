package testbed

import (
	"fmt"
	"slices"
	"strconv"
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

// LinkKey is one of the words KEY=VALUE that say what a link suffers. All that
// read, write, check or explain links go by the table of them, [LinkKeys].
type LinkKey struct {
	Name string
	// Example is a word with the key, Text what it does.
	Example, Text string
	// Kernel names the module of the kernel that the key takes beside nf_tables:
	// "nft_numgen", "sch_netem", "sch_tbf" or "".
	Kernel string

	// fields are what the key sets: by their names in JSON, pointers into a Link
	// whose zero value means nothing.
	fields func(l *Link) []linkField
	parse  func(l *Link, value string) error
	// print writes the value as parse reads it. It is asked only where a field is
	// not zero.
	print func(l Link) string
	// problems says what is wrong with the key's fields, each as "field: what".
	problems func(l Link) []string
}

type linkField struct {
	name string
	at   any // a pointer to a comparable value that encoding/json reads and writes
}

const (
	maxDelay = 2 * time.Minute // netem counts ticks of 64 ns in 32 bits: 274 s
	minRate  = 8_000
	maxRate  = 10_000_000_000
	minOver  = 68 // what every IPv4 link must carry (RFC 791)
	maxOver  = 65_534
	maxEvery = 1_000_000
)

// linkKeys are all there are, in the order in which a link is written.
var linkKeys = []LinkKey{
	{
		Name: "drop", Example: "drop=udp|tcp|all|none", Text: "packets that never pass",
		fields: func(l *Link) []linkField { return []linkField{{"drop", &l.Drop}} },
		parse:  func(l *Link, value string) error { return l.Drop.UnmarshalText([]byte(value)) },
		print:  func(l Link) string { return l.Drop.String() },
		problems: func(l Link) []string {
			return unless(l.Drop&^(DropAll|DropPartition) == 0, "drop: %d is unknown: udp, tcp and all are known", uint8(l.Drop))
		},
	},
	{
		Name: "over", Example: "over=1000", Text: "drop those longer than so many bytes: an MTU black hole",
		fields: func(l *Link) []linkField { return []linkField{{"over", &l.Over}} },
		parse:  func(l *Link, value string) error { return parseCount(&l.Over, value) },
		print:  func(l Link) string { return strconv.Itoa(l.Over) },
		problems: func(l Link) []string {
			return unless(l.Over == 0 || l.Over >= minOver && l.Over <= maxOver, "over: %d bytes is not within %d and %d", l.Over, minOver, maxOver)
		},
	},
	shareKey("loss", "loss=20%", "drop a share at random", "nft_numgen", func(l *Link) *float64 { return &l.Loss }),
	{
		Name: "every", Example: "every=3", Text: "drop each third packet", Kernel: "nft_numgen",
		fields: func(l *Link) []linkField { return []linkField{{"every", &l.Every}} },
		parse:  func(l *Link, value string) error { return parseCount(&l.Every, value) },
		print:  func(l Link) string { return strconv.Itoa(l.Every) },
		problems: func(l Link) []string {
			return unless(l.Every == 0 || l.Every >= 2 && l.Every <= maxEvery, "every: %d is not within 2 and %d", l.Every, maxEvery)
		},
	},
	{
		Name: "delay", Example: "delay=50ms±10ms", Text: "hold back, spread evenly (50ms+-10ms is the same)", Kernel: "sch_netem",
		fields: func(l *Link) []linkField {
			return []linkField{{"delay", (*duration)(&l.Shape.Delay)}, {"jitter", (*duration)(&l.Shape.Jitter)}}
		},
		parse: func(l *Link, value string) (err error) {
			l.Shape.Delay, l.Shape.Jitter, err = parseDelay(value)
			return err
		},
		print: func(l Link) string {
			if l.Shape.Jitter != 0 {
				return l.Shape.Delay.String() + "±" + l.Shape.Jitter.String()
			}
			return l.Shape.Delay.String()
		},
		problems: func(l Link) []string {
			s := l.Shape
			return append(
				unless(s.Delay >= 0 && s.Delay <= maxDelay, "delay: %s is not within 0 and %s", s.Delay, maxDelay),
				unless(s.Jitter >= 0 && s.Jitter <= max(s.Delay, 0), "jitter: %s is not within 0 and the delay of %s", s.Jitter, s.Delay)...,
			)
		},
	},
	shareKey("reorder", "reorder=5%", "a share that is not delayed and overtakes others", "sch_netem", func(l *Link) *float64 { return &l.Shape.Reorder }),
	shareKey("duplicate", "duplicate=5%", "a share that arrives twice", "sch_netem", func(l *Link) *float64 { return &l.Shape.Duplicate }),
	shareKey("corrupt", "corrupt=1%", "a share in which a bit is flipped", "sch_netem", func(l *Link) *float64 { return &l.Shape.Corrupt }),
	{
		Name: "rate", Example: "rate=1mbit", Text: "bits per second: kbit, mbit, gbit", Kernel: "sch_tbf",
		fields: func(l *Link) []linkField { return []linkField{{"rate", &l.Shape.Rate}} },
		parse: func(l *Link, value string) (err error) {
			l.Shape.Rate, err = parseRate(value)
			return err
		},
		print: func(l Link) string {
			for _, unit := range rateUnits {
				if l.Shape.Rate%unit.bits == 0 {
					return strconv.FormatUint(l.Shape.Rate/unit.bits, 10) + unit.name
				}
			}
			return ""
		},
		problems: func(l Link) []string {
			rate := l.Shape.Rate
			return unless(rate == 0 || rate >= minRate && rate <= maxRate, "rate: %d bit/s is not within %d and %d", rate, minRate, int64(maxRate))
		},
	},
}

// LinkKeys returns the table, in the order in which a link is written.
func LinkKeys() []LinkKey { return slices.Clone(linkKeys) }

// shareKey is a key whose value is a share of packets.
func shareKey(name, example, text, kernel string, at func(l *Link) *float64) LinkKey {
	return LinkKey{
		Name: name, Example: example, Text: text, Kernel: kernel,
		fields: func(l *Link) []linkField { return []linkField{{name, at(l)}} },
		parse: func(l *Link, value string) (err error) {
			*at(l), err = parseShare(value)
			return err
		},
		print: func(l Link) string { return strconv.FormatFloat(*at(&l), 'g', -1, 64) + "%" },
		problems: func(l Link) []string {
			share := *at(&l)
			// Not a number is within nothing.
			return unless(share >= 0 && share <= 100, "%s: %g %% is not within 0 and 100", name, share)
		},
	}
}

func unless(ok bool, format string, args ...any) []string {
	if ok {
		return nil
	}
	return []string{fmt.Sprintf(format, args...)}
}
