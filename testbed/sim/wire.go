package sim

import (
	"hash/fnv"
	"math/rand/v2"
	"time"

	"peerlab/testbed"
)

// latency is what every packet takes from one host to another, whatever its
// link: about what a bridge between two containers takes.
const latency = 200 * time.Microsecond

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
	link    testbed.Link
	source  func() *rand.Rand
	through time.Time // when all that was sent is through, where there is a rate
	count   int       // packets since the last that Every dropped
}

// newSource returns the random source of a pair, or of what else is named.
func newSource(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
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
	if l.Shape.Rate > 0 {
		wait := w.wait(size, now)
		if wait > w.duration(w.queue()) {
			return 0, false
		}
		w.through = now.Add(wait)
		took += max(0, wait)
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

// wait returns how long a packet that is sent now has to wait until it is
// through. It is negative after a silence, down to what the bucket holds: such a
// packet does not wait. The wire must have a rate.
func (w *wire) wait(size int, now time.Time) time.Duration {
	burst, _ := testbed.TokenBucket(w.link.Shape.Rate)
	// Before the first packet, through is the zero time and Sub the least
	// duration there is: nothing may be taken from it.
	return max(w.through.Sub(now), -w.duration(burst)) + w.duration(uint64(size)+testbed.FrameHeader)
}

func (w *wire) queue() uint64 {
	_, queue := testbed.TokenBucket(w.link.Shape.Rate)
	return queue
}

// duration returns how long so many bytes take at the wire's rate.
func (w *wire) duration(bytes uint64) time.Duration {
	return time.Duration(float64(bytes) * 8 / float64(w.link.Shape.Rate) * float64(time.Second))
}

// pace returns how long a stream waits before it sends a packet. It fills three
// quarters of the queue, about what the congestion controls of Linux keep on
// average, so that packets beside it are delayed but get through.
func (w *wire) pace(size int, now time.Time) time.Duration {
	if w == nil || w.link.Shape.Rate == 0 {
		return 0
	}
	return max(0, w.wait(size, now)-w.duration(w.queue())*3/4)
}
