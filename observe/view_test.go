package observe

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// at is a time of the hand-made histories: s seconds after they begin.
func at(s float64) time.Time {
	return time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC).Add(time.Duration(s * float64(time.Second)))
}

// lab is what the engine did to a peer.
func lab(s float64, kind event.Kind, member string) event.Event {
	return event.Event{Time: at(s), Peer: testbed.Lab, Kind: kind, Member: member}
}

// says is what a peer reported about a member.
func says(s float64, peer string, kind event.Kind, member string) event.Event {
	was := map[event.Kind]string{
		event.MemberSuspect: "alive", event.MemberRefute: "suspect", event.MemberDead: "suspect", event.MemberLeft: "alive",
	}
	return event.Event{Time: at(s), Peer: peer, Kind: kind, Member: member, Was: was[kind]}
}

func started(s float64, peer string) event.Event {
	return event.Event{Time: at(s), Peer: peer, Kind: event.PeerStarted}
}

func viewOf(events ...event.Event) *View {
	v := NewView()
	for _, e := range events {
		v.Add(e)
	}
	return v
}

func TestViewFollowsWhatAPeerHolds(t *testing.T) {
	tests := []struct {
		name   string
		events []event.Event
		want   State
	}{
		{"nothing", nil, Unknown},
		{"join", []event.Event{says(1, "a", event.MemberJoin, "b")}, Alive},
		{"suspect", []event.Event{says(1, "a", event.MemberJoin, "b"), says(2, "a", event.MemberSuspect, "b")}, Suspect},
		{"refute", []event.Event{says(2, "a", event.MemberSuspect, "b"), says(3, "a", event.MemberRefute, "b")}, Alive},
		{"dead", []event.Event{says(3, "a", event.MemberDead, "b")}, Dead},
		{"left", []event.Event{says(3, "a", event.MemberLeft, "b")}, Left},
		{"reaped", []event.Event{says(3, "a", event.MemberDead, "b"), says(4, "a", event.MemberReap, "b")}, Unknown},
		{"an update changes nothing", []event.Event{says(3, "a", event.MemberDead, "b"), says(4, "a", event.MemberUpdate, "b")}, Dead},
		{"another's view", []event.Event{says(1, "c", event.MemberJoin, "b")}, Unknown},
		{"a new life", []event.Event{says(1, "a", event.MemberJoin, "b"), started(2, "a")}, Unknown},
		{"met before itself", []event.Event{says(1, "a", event.MemberJoin, "b"), says(1, "a", event.MemberJoin, "a")}, Alive},
		{"a new node table", []event.Event{
			says(1, "a", event.MemberJoin, "a"), says(1, "a", event.MemberJoin, "b"), says(2, "a", event.MemberJoin, "a"),
		}, Unknown},
		{"outlives its peer", []event.Event{says(1, "a", event.MemberJoin, "b"), lab(2, testbed.LabKill, "a")}, Alive},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := viewOf(test.events...)
			if got := v.State("a", "b"); got != test.want {
				t.Errorf("a holds b %s, want %s", got, test.want)
			}
			for _, s := range states[1:] {
				want := 0
				for _, m := range v.Members("a") {
					if v.State("a", m) == s {
						want++
					}
				}
				if got := v.Count("a", s); got != want {
					t.Errorf("Count(a, %s) = %d, want %d", s, got, want)
				}
			}
		})
	}
}

func TestViewCountsNobodyTwice(t *testing.T) {
	v := viewOf(says(1, "a", event.MemberJoin, "a"), says(1, "a", event.MemberJoin, "b"), says(2, "a", event.MemberRefute, "b"),
		says(2, "a", event.MemberReap, "c"), says(2, "a", event.MemberJoin, ""))
	if got := v.Count("a", Alive); got != 2 {
		t.Errorf("%d alive, want 2", got)
	}
	if got := v.Members("a"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("members %v", got)
	}
	if v.Count("a", Unknown) != 0 || v.Count("a", "asleep") != 0 || v.Count("nobody", Alive) != 0 {
		t.Error("what nobody can be is counted")
	}
}

func TestViewTellsWhoRuns(t *testing.T) {
	stopping := event.Event{Time: at(5), Peer: "a", Kind: event.PeerStopping}
	tests := []struct {
		name         string
		events       []event.Event
		runs, paused bool
	}{
		{"started by the lab only", []event.Event{lab(0, testbed.LabStart, "a")}, false, false},
		{"started", []event.Event{lab(0, testbed.LabStart, "a"), started(1, "a")}, true, false},
		{"stopping", []event.Event{started(1, "a"), stopping}, false, false},
		{"killed", []event.Event{started(1, "a"), lab(2, testbed.LabKill, "a")}, false, false},
		{"stopped", []event.Event{started(1, "a"), lab(2, testbed.LabStop, "a")}, false, false},
		{"ended by itself", []event.Event{started(1, "a"), lab(2, testbed.LabExit, "a")}, false, false},
		{"started, told after the kill", []event.Event{lab(2, testbed.LabKill, "a"), started(1, "a")}, false, false},
		{"restarted", []event.Event{started(1, "a"), lab(2, testbed.LabKill, "a"), started(3, "a")}, true, false},
		{"paused", []event.Event{started(1, "a"), lab(2, testbed.LabPause, "a")}, true, true},
		{"resumed", []event.Event{started(1, "a"), lab(2, testbed.LabPause, "a"), lab(3, testbed.LabResume, "a")}, true, false},
		{"killed while paused", []event.Event{started(1, "a"), lab(2, testbed.LabPause, "a"), lab(3, testbed.LabKill, "a")}, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := viewOf(test.events...)
			if v.Runs("a") != test.runs || v.Paused("a") != test.paused {
				t.Errorf("runs %t, paused %t; want %t, %t", v.Runs("a"), v.Paused("a"), test.runs, test.paused)
			}
		})
	}
}

func TestViewKnowsPeersAndTheirHealth(t *testing.T) {
	sick := says(2, "b", event.MemberSuspect, "a")
	sick.Health = 3
	v := viewOf(lab(0, testbed.LabStart, testbed.Bootstrap), lab(0, testbed.LabStart, "z"), sick, lab(3, testbed.LabHeal, ""))
	if got := v.Peers(); !slices.Equal(got, []string{"b", "z"}) {
		t.Errorf("peers %v", got)
	}
	if v.Health("b") != 3 || v.Health("z") != 0 || v.Health("nobody") != 0 {
		t.Errorf("health of b %d, z %d", v.Health("b"), v.Health("z"))
	}
	v.Add(event.Event{Time: at(3), Peer: "b", Kind: event.PeerHealth, Health: 2})
	if v.Health("b") != 2 {
		t.Errorf("health of b %d, which told 2", v.Health("b"))
	}
	v.Add(started(4, "b"))
	if v.Health("b") != 0 {
		t.Error("a new life has the health of the last")
	}
}

func TestTable(t *testing.T) {
	var events []event.Event
	for _, p := range []string{"alice", "bob", "charly"} {
		events = append(events, started(0, p))
		for _, m := range []string{"alice", "bob", "charly"} {
			events = append(events, says(1, p, event.MemberJoin, m))
		}
	}
	events = append(events, lab(2, testbed.LabKill, "charly"), lab(2, testbed.LabPause, "bob"),
		says(3, "alice", event.MemberDead, "charly"), says(4, "alice", event.MemberSuspect, "bob"), says(5, "bob", event.MemberReap, "charly"))
	want := `        alice  bob      charly
alice   alive  suspect  dead
bob     alive  alive    .      (paused)
charly  alive  alive    alive  (does not run)
`
	if got := viewOf(events...).Table(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTableOfManyJoinsThoseOfOneMind(t *testing.T) {
	names := testbed.Names(20)
	var events []event.Event
	for _, p := range names {
		events = append(events, started(0, p))
		for _, m := range names {
			events = append(events, says(1, p, event.MemberJoin, m))
		}
	}
	events = append(events, says(2, "bob", event.MemberDead, "alice"), says(2, "bob", event.MemberSuspect, "zoe"))
	want := `alice, charly, dave, erin, frank and 14 more see 20 alive, 1 unknown (zoe)
bob sees 19 alive, 1 suspect (zoe), 1 dead (alice)
`
	if got := viewOf(events...).Table(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// BenchmarkView feeds a cluster of 1,000 in which everybody meets everybody:
// a million joins. The figure is per event.
func BenchmarkView(b *testing.B) {
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf("peer%d", i)
	}
	v := NewView()
	for _, name := range names {
		v.Add(started(0, name))
	}
	e := event.Event{Time: at(1), Kind: event.MemberJoin, Was: "dead"}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.Peer, e.Member = names[i/1000%1000], names[i%1000]
		v.Add(e)
	}
}
