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
//   - resurrection: who is held left comes back only in a new life. A peer that
//     has left refutes nothing, and an alive message that is not newer is
//     dropped. Without the entry, once it is forgotten, an old alive message
//     of somebody else can bring the member back: that does happen.
//   - accusation: a dead member is not suspected, and neither a dead one nor one
//     that has left is declared dead, unless it was alive in between.
//   - self: no peer holds itself suspect or dead: it refutes.
//
// Lives are told apart by the peers' own reports, whose clocks must agree as they
// do on one host.
func checkMembership(r *Record) Checked {
	c := memberChecker{
		known: make(map[string]map[string]known), life: make(map[string]int), leftIn: make(map[string]int), own: make(map[string]bool),
	}
	events := testbed.Sorted(r.Events)
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

// known is what an observer reported last of a member.
type known struct {
	addr        string
	incarnation uint32
}

type memberChecker struct {
	known  map[string]map[string]known // by observer and member
	life   map[string]int              // how many node tables a peer has had
	leftIn map[string]int              // in which of them it last left
	own    map[string]bool             // the present one holds its owner
	broken broken
}

// add judges an event and says whether it is a report on a member.
func (c *memberChecker) add(e event.Event) bool {
	switch e.Kind {
	case event.PeerStarted:
		c.begin(e.Peer)
		return false
	case event.PeerStopping:
		c.leftIn[e.Peer] = c.life[e.Peer]
		return false
	case event.MemberJoin, event.MemberSuspect, event.MemberRefute, event.MemberDead, event.MemberLeft, event.MemberUpdate:
	case event.MemberReap:
		delete(c.known[e.Peer], e.Member)
		return true
	default:
		return false
	}
	if e.Peer == e.Member {
		c.self(e)
	}
	if c.known[e.Peer] == nil {
		c.known[e.Peer] = make(map[string]known)
	}
	was, again := c.known[e.Peer][e.Member]
	sameAddr := was.addr == e.Addr
	if again && sameAddr && e.Incarnation < was.incarnation {
		c.wrong(e, "incarnation", "from incarnation %d back to %d", was.incarnation, e.Incarnation)
	}
	if e.Kind == event.MemberJoin && e.Was == string(Left) && sameAddr {
		if life, has := c.leftIn[e.Member]; has && c.life[e.Member] <= life {
			c.wrong(e, "resurrection", "alive again, which left and has not been started since")
		}
	}
	switch {
	case e.Kind == event.MemberSuspect && (e.Was == string(Dead) || e.Was == string(Left)),
		e.Kind == event.MemberDead && (e.Was == string(Dead) || e.Was == string(Left)):
		c.wrong(e, "accusation", "%s, whom it held %s", e.Kind, e.Was)
	}
	c.known[e.Peer][e.Member] = known{e.Addr, e.Incarnation}
	return true
}

// begin starts a new node table of a peer.
func (c *memberChecker) begin(peer string) {
	c.life[peer]++
	delete(c.known, peer)
	delete(c.own, peer)
}

// self takes what a peer reports about itself.
func (c *memberChecker) self(e event.Event) {
	switch e.Kind {
	case event.MemberSuspect, event.MemberDead:
		c.wrong(e, "self", "%s about itself", e.Kind)
	case event.MemberLeft:
		c.leftIn[e.Peer] = c.life[e.Peer]
	case event.MemberJoin:
		if e.Was == "" && c.own[e.Peer] {
			c.begin(e.Peer)
		}
		c.own[e.Peer] = true
	}
}

func (c *memberChecker) wrong(e event.Event, promise, format string, args ...any) {
	c.broken.add(Violation{
		Promise: promise, Peer: e.Peer, Cause: e.Member,
		Witness: fmt.Sprintf("%s at %s on %s: %s", e.Peer, clock(e.Time), e.Member, fmt.Sprintf(format, args...)),
	}, 0)
}
