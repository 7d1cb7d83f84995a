package observe

import (
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// situation is a view together with what the lab had done to peers and links
// by then: whom a false report can be blamed on.
//
// A peer is impaired while it does not run, is paused, throttled (to whatever it
// is) or cut off, which is to be cut from more than half of the other peers, in
// either direction. It stays impaired for the recovery after that: until then a
// timer that it set meanwhile may still fire, and others may still fire theirs
// about it. A pair is cut when packets of it or of the way back are all dropped.
type situation struct {
	*View
	recovery time.Duration
	severed  func(testbed.Link) bool // says which links cut a pair

	throttled map[string]bool
	cut       map[testbed.Pair]bool // also where only the way back is
	degraded  bool                  // some link between peers is not healthy
	cutOff    map[string]bool
	until     map[string]time.Time // impaired in consequence
	lived     map[string]bool      // has been started before
}

func newSituation(recovery time.Duration) *situation {
	return &situation{
		View: NewView(), recovery: recovery, severed: dropsAll,
		throttled: make(map[string]bool), cut: make(map[testbed.Pair]bool), cutOff: make(map[string]bool),
		until: make(map[string]time.Time), lived: make(map[string]bool),
	}
}

// Add takes the next event of the sorted history.
func (s *situation) Add(e event.Event) {
	s.View.Add(e)
	if e.Kind == event.PeerStarted {
		if s.lived[e.Peer] {
			s.recover(e.Peer, e.Time)
		}
		s.lived[e.Peer] = true
	}
	if e.Peer != testbed.Lab {
		return
	}
	switch e.Kind {
	case testbed.LabResume:
		s.recover(e.Member, e.Time)
	case testbed.LabThrottle:
		was := s.throttled[e.Member]
		s.throttled[e.Member] = e.Text != "0"
		if was && e.Text == "0" {
			s.recover(e.Member, e.Time)
		}
	case testbed.LabCut, testbed.LabLink, testbed.LabHeal:
		s.link(e)
	}
}

// dropsAll is what cuts members: they need UDP or TCP.
func dropsAll(l testbed.Link) bool { return l.IsCut() || l.Loss >= 100 }

func (s *situation) recover(peer string, at time.Time) { s.until[peer] = at.Add(s.recovery) }

// link takes a change of links. One that cannot be read changes nothing: Load
// does not let it pass, and an engine does not write it.
func (s *situation) link(e event.Event) {
	links, err := testbed.ParseLinks(e.Text)
	if err != nil {
		return
	}
	clear(s.cut)
	s.degraded = false
	from := make(map[string]int)
	for pair, link := range links {
		if pair.From == testbed.Bootstrap || pair.To == testbed.Bootstrap || pair.From == pair.To {
			continue
		}
		s.degraded = s.degraded || link != (testbed.Link{})
		if !s.severed(link) {
			continue
		}
		for _, p := range []testbed.Pair{pair, pair.Back()} {
			if !s.cut[p] {
				s.cut[p] = true
				from[p.From]++
			}
		}
	}
	for _, peer := range s.peers {
		was := s.cutOff[peer]
		s.cutOff[peer] = 2*from[peer] > len(s.peers)-1
		if was && !s.cutOff[peer] {
			s.recover(peer, e.Time)
		}
	}
}

// acts says whether peer runs and is not frozen.
func (s *situation) acts(peer string) bool {
	r := s.find(peer)
	return r.runs && !r.paused
}

// impaired says whether what peer reports, and what is reported about it, can
// be blamed on what the lab did to it.
func (s *situation) impaired(peer string, at time.Time) bool {
	return !s.acts(peer) || s.throttled[peer] || s.cutOff[peer] || at.Before(s.until[peer])
}

// isCut says whether the pair is cut in either direction.
func (s *situation) isCut(a, b string) bool { return s.cut[testbed.Pair{From: a, To: b}] }

// components returns, for each peer that acts, the number of the group within
// which it can reach everybody, if need be through others, and how large each
// group is.
func (s *situation) components() (of map[string]int, size []int) {
	of = make(map[string]int)
	var rest []string // acting and in no group yet
	for _, peer := range s.peers {
		if s.acts(peer) {
			rest = append(rest, peer)
		}
	}
	for len(rest) > 0 {
		group := []string{rest[0]}
		rest = rest[1:]
		// Whoever is not cut from a member of the group joins it.
		for i := 0; i < len(group); i++ {
			of[group[i]] = len(size)
			outside := rest[:0]
			for _, peer := range rest {
				if s.isCut(group[i], peer) {
					outside = append(outside, peer)
				} else {
					group = append(group, peer)
				}
			}
			rest = outside
		}
		size = append(size, len(group))
	}
	return of, size
}
