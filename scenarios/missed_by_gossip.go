package scenarios

import (
	"fmt"
	"time"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/testbed"
)

// whyUnheard says why peers have not heard of others, "" if that is not what a
// condition lacks, or if it may be for another reason than gossip: links that are
// or were no good, and those that a peer has forgotten.
func (w *world) whyUnheard(c condition, now time.Time) string {
	e, ok := c.predicate.(*each)
	if !ok || w.model.MissedByOne() == 0 {
		return ""
	}
	began := make(map[string]time.Time) // when each last did
	for _, ev := range w.events {
		switch ev.Kind {
		case testbed.LabCut, testbed.LabLink, event.MemberReap:
			return ""
		case event.PeerStarted:
			began[ev.Peer] = ev.Time
		}
	}
	var observer, member string // one pair of them
	for _, name := range e.names {
		if !e.peers[name].fails || !w.view.Runs(name) {
			continue
		}
		for _, unheard := range w.view.Unheard(name) {
			if lacks(e.test, name, unheard) {
				observer, member = name, unheard
			}
		}
	}
	if member == "" {
		return ""
	}
	youngest := began[member]
	if other := began[observer]; other.After(youngest) {
		youngest = other
	}
	chance, next, instead := observe.WhyUnheard(w.model)
	if age, reach := now.Sub(youngest), w.model.Spread(); age < reach {
		return fmt.Sprintf("that may be on its way: the last of them began %s before, and gossip takes about %s", age.Round(time.Millisecond), reach.Round(time.Millisecond))
	}
	return fmt.Sprintf("%s\n%s\nwrite await $PUSHPULL*3 %s, or have the cluster line say %s\nmore in docs/scenarios.md, Waiting until all see all", chance, next, c.text, instead)
}

// lacks reports whether a peer fails a test as long as it has not heard of a
// member.
func lacks(t test, peer, member string) bool {
	switch t := t.(type) {
	case countTest:
		return true
	case *cellTest:
		return t.wrong(peer, member, observe.Unknown)
	}
	return false
}
