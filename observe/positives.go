package observe

import (
	"maps"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// Accusation is a report that a running member is dead.
type Accusation struct {
	Observer, Member string
	At               time.Time
	// Healthy says that the observer was not impaired and its health score 0.
	Healthy bool
}

// Mistakes is what a history shows of wrong suspicion.
//
// A false positive is a member declared dead that ran and was not impaired, by
// an observer that ran, while the links between the two were not cut. A paused
// observer can declare it, too, where a pause blocks only what it sends and
// receives. As in the Lifeguard paper, each observer that declares it counts, whoever began; FP is
// the number of all, and FP⁻ that of those by healthy observers. Impaired is
// who is paused, throttled, or cut from more than half of the others, or has
// been or was restarted less than SuspicionMax before: timers set meanwhile may
// fire for so long. So when a peer that was cut off declares others dead after
// the heal, these are false positives, but at that peer not FP⁻.
type Mistakes struct {
	False []Accusation
	// Unreachable counts the reports of members that ran but were impaired, or
	// cut from their observer: they were right as far as the observer could know.
	Unreachable int
	// Flaps counts how often an observer that had declared a member dead held
	// it alive again, both in the same life.
	Flaps int
	// Suspicions counts how often a running, unimpaired member was suspected by
	// an observer it was not cut from. Refutations counts how often a member
	// heard itself accused, of whatever kind, and refuted that: once for each
	// new incarnation.
	Suspicions, Refutations int
}

// Healthy returns the number of false positives by healthy observers, FP⁻.
func (m Mistakes) Healthy() (n int) {
	for _, a := range m.False {
		if a.Healthy {
			n++
		}
	}
	return n
}

// FalsePositives finds the mistakes in a history, from since on. SuspicionMax is
// that of the cluster; zero lets impaired peers recover at once.
func FalsePositives(events []event.Event, suspicionMax time.Duration, since time.Time) Mistakes {
	s := newSituation(suspicionMax)
	var m Mistakes
	type pair struct{ observer, member string }
	wrong := make(map[pair]time.Time) // who holds a running member dead: when that one started
	begun := make(map[string]time.Time)
	tables := newLives()
	counted := false
	for _, e := range testbed.Sorted(events) {
		if !counted && !e.Time.Before(since) {
			m, counted = Mistakes{}, true
		}
		if tables.add(e) { // the observer begins anew: what it held before is no view of it
			maps.DeleteFunc(wrong, func(p pair, _ time.Time) bool { return p.observer == e.Peer })
		}
		switch {
		case e.Kind == event.PeerStarted:
			begun[e.Peer] = e.Time
		case e.Member == e.Peer:
			if e.Kind == event.MemberRefute {
				m.Refutations++
			}
		case !s.find(e.Peer).runs: // a dead observer's reports do not count
		case e.Kind == event.MemberDead || e.Kind == event.MemberSuspect:
			if !s.find(e.Member).runs {
				break
			}
			blamed := s.impaired(e.Member, e.Time) || s.isCut(e.Peer, e.Member)
			if e.Kind == event.MemberSuspect {
				if !blamed {
					m.Suspicions++
				}
				break
			}
			wrong[pair{e.Peer, e.Member}] = begun[e.Member]
			if blamed {
				m.Unreachable++
				break
			}
			m.False = append(m.False, Accusation{
				Observer: e.Peer, Member: e.Member, At: e.Time,
				Healthy: e.Health == 0 && !s.impaired(e.Peer, e.Time),
			})
		case e.Kind == event.MemberJoin:
			p := pair{e.Peer, e.Member}
			if life, ok := wrong[p]; ok && life.Equal(begun[e.Member]) {
				m.Flaps++
			}
			delete(wrong, p)
		}
		s.Add(e)
	}
	if !counted {
		return Mistakes{}
	}
	return m
}
