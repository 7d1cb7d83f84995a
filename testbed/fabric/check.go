package fabric

import (
	"errors"
	"math"
	"net/netip"
	"time"
)

// ErrNoEffect is what Check finds when a link lets through what it should not.
var ErrNoEffect = errors.New("fault without effect")

// Check compares what was measured with what m declares. A fault without
// effect is an [ErrNoEffect] that names the pair, by the peers' names if they
// are given; a link that does not let through what it should is another error,
// which a host that is too busy can cause. Shares of
// packets are judged at five standard deviations, so in a million
// measurements about one is judged wrongly. A delay is judged from below only,
// and a rate from above: a busy host is slow without any fault.
func (m Matrix) Check(r Measurement, names map[netip.Addr]string) error {
	link, back := m[r.Pair], m[r.Pair.Back()]
	var problems problems
	noEffect := false
	path := name(names, r.Pair.From) + " -> " + name(names, r.Pair.To)
	without := func(format string, args ...any) {
		noEffect = true
		problems.add(path+": "+ErrNoEffect.Error()+": "+format, args...)
	}
	broken := func(format string, args ...any) {
		problems.add(path+": more than was asked for: "+format, args...)
	}

	if link.Drops(DropUDP) {
		if r.Arrived > 0 {
			without("%d of %d UDP packets arrived, none should", r.Arrived, r.Sent)
		}
	} else {
		share := 1 - link.LostShare()
		least, most := between(r.Sent, share)
		if float64(r.Arrived) > most {
			without("%d of %d UDP packets arrived, at most %.0f should", r.Arrived, r.Sent, most)
		}
		// A healthy link may lose a few on a busy host, and a rate may drop some.
		if float64(r.Arrived) < least-0.1*float64(r.Sent) && link.Shape.Rate == 0 {
			broken("%d of %d UDP packets arrived, at least %.0f should", r.Arrived, r.Sent, least)
		}
		if r.Arrived == 0 && share > 0.5 {
			broken("none of %d UDP packets arrived", r.Sent)
		}
	}
	if r.Long > 0 {
		without("%d of %d packets longer than %d bytes arrived, none should", r.Long, r.LongSent, link.Over)
	}

	cut := func(l Link) bool { return l.Drops(DropTCP) || l.LostShare() >= 1 }
	switch {
	case cut(link) || cut(back):
		if r.TCP {
			without("a TCP connection came about")
		}
	case link.LostShare() == 0 && back.LostShare() == 0 && !r.TCP:
		broken("no TCP connection came about")
	}

	if r.Arrived > 0 {
		r.checkShape(link.Shape, without)
	}
	if noEffect {
		return discrepancy{problems.err()}
	}
	return problems.err()
}

// discrepancy is an ErrNoEffect in other words.
type discrepancy struct{ error }

func (discrepancy) Is(target error) bool { return target == ErrNoEffect }

func (r Measurement) checkShape(s Shape, without func(string, ...any)) {
	// Half of the packets jitter down, and some by almost all of it; the kernel
	// counts in ticks.
	if least := s.Delay - s.Jitter/2 - time.Millisecond; s.Delay > 0 && s.Reorder < 50 && r.Median < least {
		without("packets take %s, they should take %s", r.Median, s.Delay)
	}
	for _, effect := range [...]struct {
		percent float64
		seen    int
		what    string
	}{{s.Duplicate, r.Duplicated, "arrived twice"}, {s.Reorder, r.Overtaken, "were overtaken"}} {
		if expect := effect.percent / 100 * float64(r.Arrived); expect >= 25 && effect.seen == 0 {
			without("of %d packets none %s, about %.0f should", r.Arrived, effect.what, expect)
		}
	}
	if s.Rate != 0 && float64(r.Rate) > 1.5*float64(s.Rate) {
		without("packets pass at %d bit/s, the rate is %d bit/s", r.Rate, s.Rate)
	}
}

// between bounds how many of n happen, with a chance of p each, at five
// standard deviations.
func between(n int, p float64) (least, most float64) {
	mean, spread := float64(n)*p, 5*math.Sqrt(float64(n)*p*(1-p))
	return max(mean-spread, 0), min(mean+spread, float64(n))
}
