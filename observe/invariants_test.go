package observe

import (
	"slices"
	"strings"
	"testing"

	"peerlab/event"
	"peerlab/testbed"
)

func TestMembership(t *testing.T) {
	// report is what a holds of b.
	report := func(s float64, kind event.Kind, was string, incarnation uint32) event.Event {
		return event.Event{Time: at(s), Peer: "a", Kind: kind, Member: "b", Was: was, Incarnation: incarnation, Addr: "10.0.0.2:7946"}
	}
	moved := func(e event.Event) event.Event {
		e.Addr = "10.0.0.9:7946"
		return e
	}
	stopping := func(s float64, peer string) event.Event {
		return event.Event{Time: at(s), Peer: peer, Kind: event.PeerStopping}
	}
	ab := []event.Event{
		started(0, "a"), started(0, "b"), says(0.5, "a", event.MemberJoin, "a"), says(0.5, "b", event.MemberJoin, "b"),
		report(1, event.MemberJoin, "", 5),
	}
	// leaves is b's own report that it leaves.
	leaves := func(s float64, incarnation uint32) []event.Event {
		e := says(s, "b", event.MemberLeft, "b")
		e.Incarnation = incarnation
		return []event.Event{stopping(s, "b"), e}
	}
	left := with(ab, says(10, "b", event.MemberLeft, "b"), stopping(10, "b"), report(11, event.MemberLeft, "alive", 5))
	once := with(ab, leaves(10, 5)...)
	twice := with(once, with([]event.Event{started(12, "b"), says(12, "b", event.MemberJoin, "b")}, leaves(13, 7)...)...)
	heard := with(with(once, report(11, event.MemberLeft, "alive", 5)), twice[len(once):]...) // the first farewell, before b starts again
	tests := []struct {
		name    string
		events  []event.Event
		promise string // that is broken; "" for none
	}{
		{"all is well", with(ab, report(2, event.MemberSuspect, "alive", 5), report(3, event.MemberRefute, "suspect", 6), report(4, event.MemberSuspect, "alive", 6),
			report(8, event.MemberDead, "suspect", 6), report(9, event.MemberJoin, "dead", 7)), ""},
		{"an older incarnation", with(ab, report(2, event.MemberRefute, "alive", 4)), "incarnation"},
		{"an older suspicion", with(ab, report(2, event.MemberSuspect, "alive", 4)), "incarnation"},
		{"an older incarnation at another address", with(ab, moved(report(2, event.MemberJoin, "dead", 1))), ""},
		{"an older incarnation once forgotten", with(ab, report(2, event.MemberDead, "alive", 5), report(40, event.MemberReap, "dead", 5), report(41, event.MemberJoin, "", 1)), ""},
		{"an older incarnation in a new life of the observer", with(ab, lab(2, testbed.LabKill, "a"), started(3, "a"), report(4, event.MemberJoin, "", 1)), ""},
		{"an older incarnation in a new node table of the observer", with(ab, says(3, "a", event.MemberJoin, "a"), report(4, event.MemberJoin, "", 1)), ""},
		{"left and back by itself", with(left, report(12, event.MemberJoin, "left", 6)), "resurrection"},
		{"left and started again", with(left, started(12, "b"), report(13, event.MemberJoin, "left", 6)), ""},
		{"left, started again, and held left late", with(left[:len(left)-1], started(12, "b"), report(13, event.MemberLeft, "alive", 5), report(14, event.MemberJoin, "left", 6)), ""},
		{"left and created again in the same process", with(left[:len(left)-2], report(11, event.MemberLeft, "alive", 5), says(12, "b", event.MemberJoin, "b"), report(13, event.MemberJoin, "left", 6)), ""},
		{"left again before it was heard to be back", with(heard, report(14, event.MemberJoin, "left", 7), report(14, event.MemberLeft, "alive", 7)), ""},
		{"left again before it was heard to be back, with an incarnation in between", with(heard, report(14, event.MemberJoin, "left", 6)), ""},
		{"left again before its first farewell was heard", with(twice, report(14, event.MemberLeft, "alive", 5), report(14, event.MemberJoin, "left", 7)), ""},
		{"left again, with nothing told of its incarnations", with(left, started(12, "b"), stopping(13, "b"), report(14, event.MemberJoin, "left", 6)), ""},
		{"left again and killed in between", with(heard[:len(heard)-2], lab(13, testbed.LabKill, "b"), started(14, "b"), report(15, event.MemberJoin, "left", 7)), ""},
		{"left twice and back by itself", with(twice, report(14, event.MemberLeft, "alive", 7), report(15, event.MemberJoin, "left", 8)), "resurrection"},
		{"left twice, and back with what it never had", with(heard, report(14, event.MemberJoin, "left", 8)), "resurrection"},
		{"left twice, and left of the first farewell once more", with(heard, report(14, event.MemberJoin, "left", 6), report(14, event.MemberLeft, "alive", 7), report(15, event.MemberJoin, "left", 8)), "resurrection"},
		{"left, and an old message once forgotten", with(left, report(50, event.MemberReap, "left", 5), report(51, event.MemberJoin, "", 5)), ""},
		{"a dead one suspected", with(ab, report(2, event.MemberDead, "alive", 5), report(3, event.MemberSuspect, "dead", 5)), "accusation"},
		{"one that has left declared dead", with(left, report(12, event.MemberDead, "left", 5)), "accusation"},
		{"itself suspect", with(ab, says(2, "b", event.MemberSuspect, "b")), "self"},
		{"itself dead", with(ab, says(2, "b", event.MemberDead, "b")), "self"},
		{"itself refuting", with(ab, says(2, "b", event.MemberRefute, "b")), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := Check(&Record{Events: numbered(test.events)}, "membership")
			if err != nil {
				t.Fatal(err)
			}
			var promises []string
			for _, v := range c.Broken {
				promises = append(promises, v.Promise)
			}
			want := strings.Fields(test.promise)
			if !slices.Equal(promises, want) || (c.Verdict == Fail) != (len(want) > 0) {
				t.Errorf("%s\nwant broken: %q", c, test.promise)
			}
		})
	}
	if c, _ := Check(&Record{}, "membership"); c.Verdict != Inconclusive {
		t.Errorf("an empty history: %s", c)
	}
	events := numbered(ab)
	events[len(events)-1].Seq++
	if c, _ := Check(&Record{Events: events}, "membership"); c.Verdict != Inconclusive {
		t.Errorf("a history with a gap: %s", c)
	}
}
