package scenarios

import (
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/observe/theory"
	"peerlab/testbed"
)

// TestWhyUnheard: a failed await says whom nobody told, why, and what to write.
func TestWhyUnheard(t *testing.T) {
	at := func(s float64) time.Time { return time.Date(2000, 1, 1, 0, 0, 0, int(s*1e9), time.UTC) }
	local := theory.Model{Nodes: 5, RetransmitMult: 2, GossipNodes: 3, GossipInterval: 100 * time.Millisecond, PushPullInterval: 15 * time.Second}
	missing := []string{
		"gossip misses a member with a piece of news in 6.2 % of cases: with RetransmitMult=2 each of 5 sends it twice",
		"each peer starts its first within 15s and 30s of its beginning, and one every 15s after that",
		"write await $PUSHPULL*3 all see 4 alive, or have the cluster line say RetransmitMult=4, with which it is 0.12 %",
	}
	for _, test := range []struct {
		name, condition string
		now             float64
		change          func(m *theory.Model)
		more            event.Event // last of all
		want            []string    // nothing but the first line if it is empty
		first           string
	}{
		{name: "long ago", condition: "all see 4 alive", now: 10, want: missing, first: "alice sees 3 and has not heard of dave"},
		{name: "members", condition: "all see 4 members", now: 10, want: []string{"$PUSHPULL*3 all see 4 members"}},
		{name: "by name", condition: "alice sees dave alive", now: 10, want: []string{"$PUSHPULL*3 alice sees dave alive"}},
		{name: "exactly", condition: "alice sees exactly all", now: 10, want: missing[:1]},
		{name: "a moment ago", condition: "all see 4 alive", now: 1.1, want: []string{"that may be on its way", "began 100ms before, and gossip takes about "}},
		{name: "another member is meant", condition: "alice sees bob dead", now: 10},
		{name: "it is right not to know", condition: "bob sees dave unknown", now: 10},
		{name: "without push/pull", condition: "all see 4 alive", now: 10, change: func(m *theory.Model) { m.PushPullInterval = 0 }, want: []string{"no push/pull brings it"}},
		{name: "gossip that reaches all", condition: "all see 4 alive", now: 10, change: func(m *theory.Model) { m.RetransmitMult, m.GossipNodes = 8, 8 }},
		{name: "a run saved without its settings", condition: "all see 4 alive", now: 10, change: func(m *theory.Model) { *m = theory.Model{} }},
		{name: "a link is cut", condition: "all see 4 alive", now: 10, more: event.Event{Peer: testbed.Lab, Kind: testbed.LabCut}},
		{name: "it has forgotten somebody", condition: "all see 4 alive", now: 10, more: event.Event{Peer: "bob", Kind: event.MemberReap, Member: "erin"}},
		{name: "it is stopped", condition: "all see 4 alive", now: 10, more: event.Event{Peer: testbed.Lab, Kind: testbed.LabKill, Member: "dave"}, first: "alice sees 3"},
		{name: "it is paused", condition: "all see 4 alive", now: 10, more: event.Event{Peer: testbed.Lab, Kind: testbed.LabPause, Member: "dave"}, first: "alice sees 3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			model := local
			if test.change != nil {
				test.change(&model)
			}
			sc, w := conditionScene(t, 4), newWorld(nil, nil, model)
			for i, peer := range sc.spec.Peers {
				w.add(event.Event{Peer: testbed.Lab, Kind: testbed.LabStart, Member: peer})
				w.add(event.Event{Peer: peer, Kind: event.PeerStarted, Time: at(float64(i) / 3)})
				for _, member := range sc.spec.Peers {
					if peer != "alice" || member != "dave" {
						w.add(event.Event{Peer: peer, Kind: event.MemberJoin, Member: member, Time: at(1)})
					}
				}
			}
			if test.more.Kind != "" {
				w.add(test.more)
			}
			words := strings.Fields(test.condition)
			compiled, err := parseCondition(sc, args{words: make([]word, len(words)), text: words})
			if err != nil {
				t.Fatal(err)
			}
			c := compiled.instance()
			c.begin(w)
			first, rest, _ := strings.Cut(tooLate(w, "10s", c, at(test.now)).Error(), "\n")
			if !strings.Contains(first, test.first) || test.first == "alice sees 3" && strings.Contains(first, "heard") {
				t.Errorf("%q, want %q", first, test.first)
			}
			if len(test.want) == 0 && rest != "" {
				t.Errorf("it says\n%s", rest)
			}
			for _, want := range test.want {
				if !strings.Contains(rest, want) {
					t.Errorf("it does not say %q, but\n%s", want, rest)
				}
			}
		})
	}
}

// TestWhyUnheardInARun is told as the reason of a run, too, whose news gossip is
// sure to miss: one peer hears of nobody that joins after it.
func TestWhyUnheardInARun(t *testing.T) {
	for range 5 { // gossip may be lucky
		res := play(t, "cluster 6 RetransmitMult=1 GossipNodes=1 rejoin=0 no-chat=true\nstart\nawait 5s all see 6 alive\n")
		if res.Verdict == observe.Pass {
			continue
		}
		if !strings.Contains(res.Reason, "has not heard of") || !strings.Contains(res.Story, "with RetransmitMult=1 each of 6 sends it once") {
			t.Errorf("%s\n%s", res.Reason, res.Story)
		}
		sameAgain(t, &res.Record)
		return
	}
	t.Error("gossip has missed nobody in five runs")
}
