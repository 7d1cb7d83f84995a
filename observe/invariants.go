package observe

import (
	"fmt"

	"peerlab/event"
	"peerlab/testbed"
)

// checkMembership looks for what memberlist 0.7.0 never does, whatever happens
// to its network and its host, so that finding it tells of a defect: of
// memberlist, or of what reports on it.
//
//   - incarnation: what an observer holds of a member never goes back to a
//     lower incarnation, as long as it has not forgotten the member and the
//     address is the same. aliveNode, suspectNode and deadNode drop older
//     messages; only another address replaces one that has left or can be
//     reclaimed.
//   - resurrection: a member that an observer holds left comes back only in a
//     later life than the one whose farewell the observer has taken in. A peer
//     that has left refutes nothing, and an alive message that is not newer is
//     dropped. The later life may have left, too, before its alive message
//     arrives; then the message is no newer than that farewell. Without the
//     entry, once it is forgotten, an old alive message of somebody else can
//     bring the member back: that does happen.
//   - accusation: a dead member is not suspected, and neither a dead one nor one
//     that has left is declared dead, unless it was alive in between.
//   - self: no peer holds itself suspect or dead: it refutes.
//
// Lives are told apart by the peers' own reports, whose clocks must agree as they
// do on one host.
func checkMembership(r *Record) Checked {
	events := testbed.Sorted(r.Events)
	c := memberChecker{known: make(map[string]map[string]known), lives: newLives(), farewells: farewells(events)}
	reports := 0
	for _, e := range events {
		if e.Peer != testbed.Lab && c.add(e) {
			reports++
		}
	}
	doubt := incomplete(r.Events)
	if doubt == "" && reports == 0 {
		doubt = "no peer reported on any member"
	}
	return c.broken.judge(fmt.Sprintf("%d reports on members", reports), doubt)
}

// lives numbers the lives of each peer's membership from 1. A life has one node
// table; a process that creates its membership anew begins another life.
type lives struct {
	present map[string]int
	left    map[string]int  // the latest that said farewell; 0 if none did
	own     map[string]bool // the present one has reported its owner
}

func newLives() lives {
	return lives{present: make(map[string]int), left: make(map[string]int), own: make(map[string]bool)}
}

// add takes the next event and reports whether it begins a life of its peer.
func (l *lives) add(e event.Event) (begins bool) {
	switch {
	case e.Kind == event.PeerStarted:
		begins = true
	case e.Kind == event.PeerStopping, e.Kind == event.MemberLeft && e.Peer == e.Member:
		l.left[e.Peer] = l.present[e.Peer]
	case e.Kind == event.MemberJoin && e.Peer == e.Member:
		begins = e.Was == "" && l.own[e.Peer]
	}
	if begins {
		l.present[e.Peer]++
		l.own[e.Peer] = false
	}
	if e.Kind == event.MemberJoin && e.Peer == e.Member {
		l.own[e.Peer] = true
	}
	return begins
}

// farewells returns for each peer the incarnation with which each of its lives
// left; a life that did not is missing.
func farewells(events []event.Event) map[string]map[int]uint32 {
	l := newLives()
	all := make(map[string]map[int]uint32)
	for _, e := range events {
		l.add(e)
		if e.Kind != event.MemberLeft || e.Peer != e.Member {
			continue
		}
		if all[e.Peer] == nil {
			all[e.Peer] = make(map[int]uint32)
		}
		if life := l.present[e.Peer]; all[e.Peer][life] == 0 {
			all[e.Peer][life] = e.Incarnation
		}
	}
	return all
}

// known is what an observer reported last of a member.
type known struct {
	addr        string
	incarnation uint32
	// left is the life whose farewell the observer has taken in, 0 if it holds
	// the member to be something else than left or nothing is known of a farewell.
	left int
}

type memberChecker struct {
	known     map[string]map[string]known // by observer and member
	lives     lives
	farewells map[string]map[int]uint32
	broken    broken
}

// add judges an event and says whether it is a report on a member.
func (c *memberChecker) add(e event.Event) bool {
	if c.lives.add(e) {
		delete(c.known, e.Peer)
	}
	switch e.Kind {
	case event.MemberJoin, event.MemberSuspect, event.MemberRefute, event.MemberDead, event.MemberLeft, event.MemberUpdate:
	case event.MemberReap:
		delete(c.known[e.Peer], e.Member)
		return true
	default:
		return false
	}
	if e.Peer == e.Member && (e.Kind == event.MemberSuspect || e.Kind == event.MemberDead) {
		c.wrong(e, "self", "%s about itself", e.Kind)
	}
	if c.known[e.Peer] == nil {
		c.known[e.Peer] = make(map[string]known)
	}
	was, again := c.known[e.Peer][e.Member]
	sameAddr := was.addr == e.Addr
	if again && sameAddr && e.Incarnation < was.incarnation {
		c.wrong(e, "incarnation", "from incarnation %d back to %d", was.incarnation, e.Incarnation)
	}
	if e.Kind == event.MemberJoin && e.Was == string(Left) && sameAddr && was.left != 0 && !c.canReturn(e, was.left) {
		c.wrong(e, "resurrection", "alive again, which left and has not been started since")
	}
	switch {
	case e.Kind == event.MemberSuspect && (e.Was == string(Dead) || e.Was == string(Left)),
		e.Kind == event.MemberDead && (e.Was == string(Dead) || e.Was == string(Left)):
		c.wrong(e, "accusation", "%s, whom it held %s", e.Kind, e.Was)
	}
	now := known{addr: e.Addr, incarnation: e.Incarnation}
	if e.Kind == event.MemberLeft {
		now.left = c.farewellOf(e)
	}
	c.known[e.Peer][e.Member] = now
	return true
}

// farewellOf returns the life of the member whose farewell an observer reports:
// the first that left with that incarnation. Where none did, because peers of
// this kind do not report incarnations, it is the latest that has left.
func (c *memberChecker) farewellOf(e event.Event) int {
	latest := c.lives.left[e.Member]
	for life := 1; e.Incarnation != 0 && life <= latest; life++ {
		if c.farewells[e.Member][life] == e.Incarnation {
			return life
		}
	}
	return latest
}

// canReturn reports whether the alive message that e tells of can be of a life
// after the one that left. A life that left later cannot have sent one that is
// newer than its own farewell.
func (c *memberChecker) canReturn(e event.Event, left int) bool {
	for life := left + 1; life <= c.lives.present[e.Member]; life++ {
		if last := c.farewells[e.Member][life]; last == 0 || e.Incarnation <= last {
			return true
		}
	}
	return false
}

func (c *memberChecker) wrong(e event.Event, promise, format string, args ...any) {
	c.broken.add(Violation{
		Promise: promise, Peer: e.Peer, Cause: e.Member,
		Witness: fmt.Sprintf("%s at %s on %s: %s", e.Peer, clock(e.Time), e.Member, fmt.Sprintf(format, args...)),
	}, 0)
}
