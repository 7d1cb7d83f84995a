package observe

import (
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// Healing is how the views became equal after the lab undid a fault: lab.heal,
// or lab.resume. Views are equal when each peer that runs and is not paused
// holds each such peer alive, and nobody else who is a peer. A peer that has left
// the cluster, and holds itself left, does not count.
type Healing struct {
	Cause string // "heal" or "resume"
	// Member is whom the lab resumed.
	Member string
	At     time.Time
	// Whole says that the views became equal before the lab did the next thing
	// that matters to them or the history ended, First how long that took. It is
	// zero if they were equal already.
	Whole bool
	First time.Duration
	// Settled says that they were equal at the end of that time, Last since
	// when: later than First if an old timer declared somebody dead after all.
	Settled bool
	Last    time.Duration
}

// Healings returns what became of each heal and resume in a history.
func Healings(events []event.Event) []Healing {
	h := healer{View: NewView()}
	for _, e := range testbed.Sorted(events) {
		h.add(e)
	}
	return h.healings
}

type healer struct {
	*View
	healings []Healing
	open     bool // the last of them still goes on
	wrong    int  // cells of the view that keep it from being equal
}

func (h *healer) add(e event.Event) {
	switch e.Kind {
	case testbed.LabHeal, testbed.LabResume:
		h.Add(e)
		h.open = true
		h.recount()
		healing := Healing{Cause: "heal", Member: e.Member, At: e.Time}
		if e.Kind == testbed.LabResume {
			healing.Cause = "resume"
		}
		h.healings = append(h.healings, healing)
		h.settle(e.Time, true)
		return
	case testbed.LabStart, testbed.LabStop, testbed.LabKill, testbed.LabExit, testbed.LabPause, testbed.LabThrottle, testbed.LabDisconnect, testbed.LabCut, testbed.LabLink:
		h.open = false
	}
	if !h.open {
		h.Add(e)
		return
	}
	switch e.Kind {
	case event.PeerStarted, event.PeerStopping:
		h.Add(e)
		h.recount()
	case event.MemberJoin, event.MemberSuspect, event.MemberRefute, event.MemberDead, event.MemberLeft, event.MemberReap:
		peers, belonged := len(h.peers), h.member(e.Peer)
		h.wrong -= h.cell(e.Peer, e.Member)
		h.Add(e)
		if len(h.peers) != peers || h.member(e.Peer) != belonged {
			h.recount() // one more, or one less, is expected in all views
		} else {
			h.wrong += h.cell(e.Peer, e.Member)
		}
	default:
		h.Add(e)
		return
	}
	h.settle(e.Time, false)
}

// settle notes whether the views are equal now.
func (h *healer) settle(now time.Time, begun bool) {
	last := &h.healings[len(h.healings)-1]
	equal := h.wrong == 0
	if equal && !last.Settled {
		last.Last = max(0, now.Sub(last.At))
		if begun {
			last.Last = 0
		}
		if !last.Whole {
			last.Whole, last.First = true, last.Last
		}
	}
	last.Settled = equal
}

// belongs says whether a peer is expected in the views, and its view to be whole.
func (h *healer) belongs(i int) bool {
	r := &h.rows[i]
	return r.peer && r.runs && !r.paused && h.held(i, i) != left
}

func (h *healer) member(peer string) bool {
	i, known := h.index[peer]
	return known && h.belongs(i)
}

// cell returns 1 if what observer holds of member keeps views from being equal.
func (h *healer) cell(observer, member string) int {
	o, known := h.index[observer]
	m, mentioned := h.index[member]
	if !known || !mentioned {
		return 0
	}
	return h.wrongAt(o, m)
}

func (h *healer) wrongAt(o, m int) int {
	if !h.belongs(o) || h.rows[m].paused || !h.rows[m].peer {
		return 0
	}
	if h.belongs(m) != (h.held(o, m) == alive) {
		return 1
	}
	return 0
}

func (h *healer) recount() {
	h.wrong = 0
	for o := range h.rows {
		if !h.belongs(o) {
			continue
		}
		for m := range h.rows {
			h.wrong += h.wrongAt(o, m)
		}
	}
}
