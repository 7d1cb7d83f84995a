package sim

import (
	"hash/fnv"
	"math/rand/v2"
	"time"

	"peerlab/testbed"
)

const (
	// latency is what every packet takes from one host to another, whatever
	// its link: about what a bridge between two containers takes.
	latency = 200 * time.Microsecond
	// maxBacklog is how long a packet waits at most where a link has a rate;
	// what would wait longer is lost.
	maxBacklog = 200 * time.Millisecond
)

// Bytes that IP and the protocol above it put in front of what is sent.
const (
	udpHeader = 20 + 8
	tcpHeader = 20 + 32
	// mss is how much of a stream one packet carries: Ethernet's MTU.
	mss = 1500 - tcpHeader
)

type protocol = testbed.Drop

const (
	udp protocol = testbed.DropUDP
	tcp protocol = testbed.DropTCP
)

// wire is one direction between two hosts whose link is not healthy. What
// happens on it at random is drawn from a source of its own, which depends on
// the seed and the two names alone: traffic elsewhere does not shift it.
type wire struct {
	link   testbed.Link
	source func() *rand.Rand
	free   time.Time // when all that was sent is through, where there is a rate
	count  int       // packets since the last that Every dropped
}

// newSource returns the random source of a pair.
func newSource(seed uint64, pair testbed.Pair) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(pair.String()))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

func (w *wire) chance(percent float64) bool {
	return percent > 0 && w.source().Float64()*100 < percent
}

// cut says whether the link lets no packet of protocol p pass.
func (w *wire) cut(p protocol) bool {
	return w != nil && w.link.Drops(p)
}

// carry sends one packet, size bytes of IP, at now. It returns how long the
// packet is under way, or that it is lost. A nil wire is a healthy link.
func (w *wire) carry(p protocol, size int, now time.Time) (took time.Duration, ok bool) {
	if w == nil {
		return latency, true
	}
	l := w.link
	if w.cut(p) || l.Over > 0 && size > l.Over || w.chance(l.Loss) || w.isNth() || w.chance(l.Shape.Corrupt) {
		return 0, false
	}
	took = latency
	if rate := l.Shape.Rate; rate > 0 {
		wait := max(0, w.free.Sub(now))
		if wait > maxBacklog {
			return 0, false
		}
		wait += time.Duration(float64(size) * 8 / float64(rate) * float64(time.Second))
		w.free = now.Add(wait)
		took += wait
	}
	if l.Shape.Delay > 0 && !w.chance(l.Shape.Reorder) {
		took += l.Shape.Delay
		if j := l.Shape.Jitter; j > 0 {
			took += time.Duration(w.source().Int64N(int64(2*j)+1)) - j
		}
	}
	return took, true
}

// isNth counts a packet and reports whether Every drops it.
func (w *wire) isNth() bool {
	if w.link.Every == 0 {
		return false
	}
	w.count = (w.count + 1) % w.link.Every
	return w.count == 0
}

// twice says whether a packet that passed arrives a second time.
func (w *wire) twice() bool { return w != nil && w.chance(w.link.Shape.Duplicate) }

// full returns how long a sender that can wait has to, for its packet not to be
// lost to the limit of the rate.
func (w *wire) full(now time.Time) time.Duration {
	if w == nil || w.link.Shape.Rate == 0 {
		return 0
	}
	return max(0, w.free.Sub(now)-maxBacklog)
}
