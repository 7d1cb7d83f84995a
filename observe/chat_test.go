package observe

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"peerlab/event"
	"peerlab/testbed"
)

// numbered gives events the numbers that their peers would.
func numbered(events []event.Event) []event.Event {
	events = slices.Clone(events)
	last := make(map[string]uint64)
	for i := range events {
		e := &events[i]
		if e.Kind == event.PeerStarted {
			last[e.Peer] = 0
		}
		last[e.Peer]++
		e.Seq = last[e.Peer]
	}
	return events
}

// chatCheck judges hand-made events.
func chatCheck(t *testing.T, events []event.Event) Checked {
	t.Helper()
	c, err := Check(&Record{Events: numbered(events)}, "chat")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChat(t *testing.T) {
	abc := inChat("a", "b", "c")
	// a asks, b answers, c hears both.
	talk := func(more ...event.Event) []event.Event {
		return with(abc, append([]event.Event{
			sent(10, "a", "a/7/1"), delivered(10.1, "b", "a/7/1"), delivered(10.2, "c", "a/7/1"),
			sent(11, "b", "b/8/1"), delivered(11.1, "a", "b/8/1"), delivered(11.2, "c", "b/8/1"),
		}, more...)...)
	}
	without := func(events []event.Event, peer, id string) []event.Event {
		i := slices.IndexFunc(events, func(e event.Event) bool {
			return e.Kind == event.ChatDelivered && e.Peer == peer && e.Message == id
		})
		return slices.Delete(slices.Clone(events), i, i+1)
	}
	text := func(e event.Event, text string) event.Event {
		e.Text = text
		return e
	}
	from := func(e event.Event, member string) event.Event {
		e.Member = member
		return e
	}
	reason := func(e event.Event, reason string) event.Event {
		e.Reason = reason
		return e
	}
	life := func(e event.Event, life uint64) event.Event {
		e.Life = life
		return e
	}
	// dAs is d in one life of its chat, of which a is told as of another: by
	// somebody who has long been cut off, if that is an earlier one.
	dAs := func(is, told uint64) []event.Event {
		return append(cluster("d"), life(says(2, "d", event.ChatStart, ""), is), says(2, "d", event.ChatJoin, "a"), life(says(3, "a", event.ChatJoin, "d"), told))
	}
	kill := func(s float64, peer string) event.Event { return lab(s, testbed.LabKill, peer) }
	// back is peer in a new life, seen by the others.
	back := func(s float64, peer string) []event.Event {
		events := []event.Event{lab(s, testbed.LabStart, peer), started(s, peer)}
		for _, other := range []string{"a", "b", "c"} {
			if other != peer {
				events = append(events, reason(says(s+1, other, event.ChatLeave, peer), "leave"), says(s+1, other, event.ChatJoin, peer),
					says(s+1, peer, event.ChatJoin, other))
			}
		}
		return events
	}
	holds := func(judged string) Checked { return Checked{Verdict: Pass, Judged: judged} }
	breaks := func(promise, witness string) Checked {
		return Checked{Verdict: Fail, Broken: []Violation{{Promise: promise, Witness: witness}}}
	}
	unclear := func(why string) Checked { return Checked{Verdict: Inconclusive, Judged: why} }

	tests := []struct {
		name   string
		events []event.Event
		want   Checked
	}{
		{"holds", talk(), holds("2 messages sent, 4 deliveries owed by 3 members")},

		// Validity.
		{"lost", without(talk(), "c", "b/8/1"), breaks("validity", "b sent b/8/1 at 03:00:11.000 and is up; c never delivered it")},
		{
			"lost by all", without(without(talk(), "c", "b/8/1"), "a", "b/8/1"),
			breaks("validity", "a, c never delivered it"),
		},
		{"lost, and a cause of what was delivered", without(talk(), "c", "a/7/1"), breaks("validity", "a sent a/7/1 at 03:00:10.000 and is up; c never")},
		{"lost in a split that was healed", with(without(talk(), "c", "b/8/1"), links(9, "a,b -> c drop=all"), links(12, "")), breaks("validity", "b/8/1")},
		{"lost by one that was paused", with(without(talk(), "c", "b/8/1"), lab(9, testbed.LabPause, "c"), lab(12, testbed.LabResume, "c")), breaks("validity", "b/8/1")},
		{"lost over a bad link", with(without(talk(), "c", "b/8/1"), links(9, "b -> c loss=30%")), breaks("validity", "b/8/1")},
		{"lost though others lead there", with(without(talk(), "c", "b/8/1"), links(9, "b -> c drop=all")), breaks("validity", "b/8/1")},
		{"of a split in the end each part is judged", with(without(without(talk(), "c", "b/8/1"), "a", "b/8/1"), links(12, "a,b -> c drop=all")), breaks("validity", "a never delivered it")},
		{"lost behind a cut", with(without(talk(), "c", "b/8/1"), links(12, "a,b -> c drop=all")), holds("2 deliveries owed by 2 members")},
		{"lost behind a cut of TCP", with(without(talk(), "c", "b/8/1"), links(12, "a,b -> c drop=tcp")), holds("2 deliveries owed by 2 members")},
		{"lost behind a cut of UDP", with(without(talk(), "c", "b/8/1"), links(12, "a,b -> c drop=udp")), breaks("validity", "b/8/1")},
		{"lost by one that is dead", with(without(talk(), "c", "b/8/1"), kill(12, "c")), holds("2 deliveries owed by 2 members")},
		{"lost by one that is paused", with(without(talk(), "c", "b/8/1"), lab(12, testbed.LabPause, "c")), holds("2 deliveries owed by 2 members")},
		{"lost by one that has left", with(without(talk(), "c", "b/8/1"), reason(says(12, "a", event.ChatLeave, "c"), "leave")), holds("2 deliveries owed by 2 members")},
		{"lost by one that was held dead", with(without(talk(), "c", "b/8/1"), reason(says(12, "a", event.ChatLeave, "c"), "gone")), breaks("validity", "b/8/1")},
		{"lost by a newcomer its author did not know", with(talk(), append(cluster("d"), says(2, "d", event.ChatJoin, "a"))...), holds("4 deliveries owed by 4 members")},
		{"lost by a newcomer its author knew", with(with(abc, append(cluster("d"), says(2, "d", event.ChatJoin, "a"), says(3, "a", event.ChatJoin, "d"))...), talk()[len(abc):]...), breaks("validity", "d never delivered it")},
		{"lost by a newcomer of whom its author knew an earlier life", with(with(abc, dAs(6, 5)...), talk()[len(abc):]...), holds("4 deliveries owed by 4 members")},
		{"lost by a newcomer of whom its author knew this life", with(with(abc, dAs(6, 6)...), talk()[len(abc):]...), breaks("validity", "d never delivered it")},
		{"lost in a new life", with(talk(kill(12, "c")), back(13, "c")...), holds("2 deliveries owed by 3 members")},
		{"lost after a new life has begun", with(without(talk(), "c", "b/8/1"), with(append([]event.Event{kill(12, "c")}, back(13, "c")...), sent(15, "b", "b/8/2"), delivered(16, "a", "b/8/2"))...), breaks("validity", "b sent b/8/2 at 03:00:15.000 and is up; c never")},
		{"lost by an author in a new incarnation", with(without(talk(), "c", "b/8/1"), append([]event.Event{kill(12, "b"), kill(12, "a")}, back(13, "b")...)...), holds("1 deliveries owed by 2 members")},
		{
			"lost by an author that goes on with its incarnation", with(without(talk(), "c", "b/8/1"), append(append([]event.Event{kill(12, "b")}, back(13, "b")...),
				sent(15, "b", "b/8/2"), delivered(15.1, "a", "b/8/2"), delivered(15.1, "c", "b/8/2"))...),
			breaks("validity", "b sent b/8/1"),
		},

		// Given up beyond the horizon.
		{
			"given up by one", with(without(talk(), "c", "b/8/1"), skipped(12, "c", "b/8/1", 1)),
			holds("2 messages sent, 3 deliveries owed by 3 members that are up in the end; 1 given up beyond the horizon, by c"),
		},
		{"given up by one, lost by another", with(without(without(talk(), "c", "b/8/1"), "a", "b/8/1"), skipped(12, "c", "b/8/1", 1)), breaks("validity", "; a never delivered it")},
		{"given up, and the author dies", with(without(without(talk(), "c", "b/8/1"), "c", "a/7/1"), skipped(12, "c", "b/8/1", 1), kill(12, "b")), breaks("validity", "a sent a/7/1")},
		{"lost after what was given up", with(talk(skipped(12, "c", "b/8/1", 1)), sent(13, "b", "b/8/2"), delivered(13, "a", "b/8/2")), breaks("validity", "b/8/2")},
		{"a cause that was given up", with(without(talk(), "c", "a/7/1"), skipped(10.5, "c", "a/7/1", 1)), holds("3 deliveries owed")},
		{"given up in the life before", with(without(talk(skipped(12, "c", "b/8/1", 1), kill(12, "c")), "c", "b/8/1"), append(back(13, "c"), sent(15, "b", "b/8/2"), delivered(15, "a", "b/8/2"))...), breaks("validity", "b/8/2")},

		{
			"given up before it was sent", with(without(talk(), "c", "b/8/1"), skipped(10.8, "c", "b/8/9223372036854775808", 1<<63)),
			breaks("validity", "c never delivered it: c gave it up at 03:00:10.800, before it was sent"),
		},
		{
			"given up, and delivered by another after that", with(without(without(talk(), "c", "b/8/1"), "a", "b/8/1"), skipped(12, "c", "b/8/1", 1), delivered(13, "a", "b/8/1")),
			breaks("validity", "c never delivered it: c gave it up at 03:00:12.000, a delivered it at 03:00:13.000"),
		},
		{
			"given up, and kept by another", with(without(talk(), "c", "b/8/1"), keeping(5, "a", 2), skipped(12, "c", "b/8/1", 1)),
			breaks("validity", "c never delivered it: c gave it up at 03:00:12.000, a still keeps it"),
		},
		{
			"given up, and kept by its author", with(without(talk(), "c", "b/8/1"), keeping(5, "b", 1), skipped(12, "c", "b/8/1", 1)),
			breaks("validity", "b still keeps it"),
		},
		{
			"given up, and no longer kept by another", with(without(without(talk(), "c", "b/8/1"), "c", "a/7/1"), keeping(5, "a", 1), keeping(5, "b", 1),
				skipped(12, "c", "a/7/1", 1), skipped(12, "c", "b/8/1", 1), sent(13, "b", "b/8/2"), delivered(13, "a", "b/8/2"), delivered(13, "c", "b/8/2")),
			holds("2 given up beyond the horizon, by c"),
		},
		{
			"given up, and kept by one that dies", with(without(talk(), "c", "b/8/1"), keeping(5, "b", 9), skipped(12, "c", "b/8/1", 1), kill(13, "b")),
			holds("1 given up beyond the horizon, by c"),
		},
		{"late, after it was given up", with(without(talk(), "c", "a/7/1"), skipped(10.5, "c", "a/7/1", 1), delivered(13, "c", "a/7/1")), holds("4 deliveries owed")},

		// Agreement.
		{"the author dies, one has it", with(without(talk(), "c", "b/8/1"), kill(12, "b")), breaks("agreement", "a delivered b/8/1; c never did")},
		{"the author is cut off, one has it", with(without(talk(), "c", "b/8/1"), links(12, "b -> a,c drop=all")), breaks("agreement", "a delivered b/8/1; c never did")},
		{"the author dies, nobody has it", with(without(without(talk(), "c", "b/8/1"), "a", "b/8/1"), kill(12, "b")), holds("1 deliveries owed by 2 members")},
		{"the author dies, only the dead have it", with(without(talk(), "c", "b/8/1"), kill(12, "b"), kill(12, "a")), unclear("no message was owed")},

		// Integrity.
		{"twice", talk(delivered(12, "c", "b/8/1")), breaks("integrity", "c delivered b/8/1 twice")},
		{"again after a restart", with(talk(kill(12, "c")), append(back(13, "c"), delivered(15, "c", "a/7/1"), delivered(15, "c", "b/8/1"))...), holds("2 deliveries owed by 3 members")},
		{"never sent", talk(delivered(12, "c", "a/7/9")), breaks("integrity", "c delivered a/7/9, which nobody sent")},
		{"never sent by that life", talk(delivered(12, "c", "a/6/1")), breaks("integrity", "c delivered a/6/1, which nobody sent")},
		{"not an id", talk(delivered(12, "c", "hello")), breaks("integrity", `"hello"`)},
		{"another text", with(without(talk(), "c", "b/8/1"), text(delivered(12, "c", "b/8/1"), "no")), breaks("integrity", `c delivered b/8/1 as "no", sent was "text of b/8/1"`)},
		{"another author", with(without(talk(), "c", "b/8/1"), from(delivered(12, "c", "b/8/1"), "a")), breaks("integrity", "c delivered b/8/1 as from a")},
		{"a number used twice", talk(sent(12, "a", "a/7/1")), breaks("integrity", "a sent a/7/1 after a/7/1: the number is used twice")},
		{"in another's name", talk(sent(12, "a", "b/8/2")), breaks("integrity", "a sent b/8/2 in another's name")},

		// Causal order.
		{"an answer before its question", with(without(talk(), "c", "a/7/1"), delivered(12, "c", "a/7/1")), breaks("causal order", "c delivered b/8/1 before its cause a/7/1")},
		{
			"out of the order of their author", talk(sent(12, "a", "a/7/2"), sent(13, "a", "a/7/3"),
				delivered(14, "b", "a/7/2"), delivered(14, "b", "a/7/3"), delivered(14, "c", "a/7/3"), delivered(14, "c", "a/7/2")),
			breaks("causal order", "c delivered a/7/3 before its cause a/7/2"),
		},
		{"a cause that never came, for its author and its other readers died", with(without(talk(), "c", "a/7/1"), kill(12, "a"), kill(12, "b")), breaks("causal order", "c delivered b/8/1 and never its cause a/7/1")},
		{"by one that dies, too", with(without(talk(), "c", "a/7/1"), delivered(12, "c", "a/7/1"), kill(12, "c")), breaks("causal order", "c delivered b/8/1 before its cause a/7/1")},
		{
			"through a message not delivered yet", talk(sent(12, "c", "c/9/1"), delivered(12.1, "b", "c/9/1"), sent(13, "b", "b/8/2"),
				delivered(14, "a", "b/8/2"), delivered(14, "c", "b/8/2"), delivered(15, "a", "c/9/1")),
			breaks("causal order", "a delivered b/8/2 before its cause c/9/1"),
		},
		{"what happened at the same time has no order", with(abc, sent(10, "a", "a/7/1"), sent(10, "b", "b/8/1"),
			delivered(11, "a", "b/8/1"), delivered(11, "b", "a/7/1"), delivered(11, "c", "b/8/1"), delivered(12, "c", "a/7/1")), holds("4 deliveries owed")},

		// What cannot be told.
		{"nothing was said", abc, unclear("no message was owed")},
		{"nobody is there", nil, unclear("no message was owed")},
		{"the lab lost track", talk(event.Event{Time: at(12), Peer: testbed.Lab, Kind: testbed.LabError, Member: "c", Error: "cut short"}), unclear("the history of c is incomplete: cut short")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := chatCheck(t, test.events)
			if got.Verdict != test.want.Verdict || !strings.Contains(got.Judged, test.want.Judged) {
				t.Errorf("got %s", got)
			}
			if len(got.Broken) != len(test.want.Broken) {
				t.Fatalf("%d promises are broken, want %d:\n%s", len(got.Broken), len(test.want.Broken), got)
			}
			for i, v := range test.want.Broken {
				if got.Broken[i].Promise != v.Promise || !strings.Contains(got.Broken[i].Witness, v.Witness) {
					t.Errorf("got %s\nwant %s: %s", got, v.Promise, v.Witness)
				}
			}
		})
	}
}

// keeping is the start of a chat that keeps n messages in any case.
func keeping(s float64, peer string, n uint64) event.Event {
	return event.Event{Time: at(s), Peer: peer, Kind: event.ChatStart, Messages: n}
}

func TestChatWitnessIsTheSmallest(t *testing.T) {
	// Four messages: the first and second reach nobody, the third misses one.
	events := with(inChat("a", "b", "c"), sent(10, "a", "a/7/1"), sent(11, "a", "a/7/2"), sent(12, "a", "a/7/3"), delivered(13, "b", "a/7/3"))
	c := chatCheck(t, events)
	want := []Violation{
		{Promise: "validity", Message: "a/7/3", Peer: "c", Witness: "a sent a/7/3 at 03:00:12.000 and is up; c never delivered it", Times: 3},
	}
	if !slices.Equal(c.Broken, want) {
		t.Errorf("got %+v\nwant %+v", c.Broken, want)
	}
	if !strings.Contains(c.String(), "c never delivered it (3 such)") {
		t.Error(c.String())
	}
}

func TestChatNeedsTheWholeHistory(t *testing.T) {
	events := numbered(with(inChat("a", "b"), sent(10, "a", "a/7/1"), delivered(11, "b", "a/7/1"), says(12, "b", event.MemberUpdate, "a")))
	i := slices.IndexFunc(events, func(e event.Event) bool { return e.Kind == event.ChatDelivered })
	c, err := Check(&Record{Events: slices.Delete(events, i, i+1)}, "chat")
	if err != nil || c.Verdict != Inconclusive || !strings.Contains(c.Judged, "the history of b is incomplete: event 6 follows number 4") {
		t.Errorf("%s, %v", c, err)
	}
}

// protocol is causal broadcast among peers that say things at random, in which
// every message takes its own time to everybody.
type protocol struct {
	events []event.Event
	peers  []string
	has    map[string]map[string]bool // by peer
	causes map[string][]string        // by message
	order  []string                   // of messages
	sent   map[string]int             // by peer
	clock  float64
}

func newProtocol(peers int) *protocol {
	p := &protocol{peers: testbed.Names(peers), has: make(map[string]map[string]bool), causes: make(map[string][]string), sent: make(map[string]int), clock: 10}
	p.events = inChat(p.peers...)
	for _, peer := range p.peers {
		p.has[peer] = make(map[string]bool)
	}
	return p
}

func (p *protocol) say(peer string) {
	p.clock += 0.01
	p.sent[peer]++
	id := fmt.Sprintf("%s/7/%d", peer, p.sent[peer])
	for _, cause := range p.order {
		if p.has[peer][cause] {
			p.causes[id] = append(p.causes[id], cause)
		}
	}
	p.order, p.has[peer][id] = append(p.order, id), true
	p.events = append(p.events, sent(p.clock, peer, id))
}

// ready returns what can be delivered at peer.
func (p *protocol) ready(peer string) (ids []string) {
	for _, id := range p.order {
		if !p.has[peer][id] && !slices.ContainsFunc(p.causes[id], func(c string) bool { return !p.has[peer][c] }) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (p *protocol) deliver(peer, id string) {
	p.clock += 0.01
	p.has[peer][id] = true
	p.events = append(p.events, delivered(p.clock, peer, id))
}

// finish delivers everything that is missing.
func (p *protocol) finish() {
	for _, peer := range p.peers {
		for ids := p.ready(peer); len(ids) > 0; ids = p.ready(peer) {
			p.deliver(peer, ids[0])
		}
	}
}

func TestChatPassesWhatIsRightAndFailsWhatIsNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newProtocol(rapid.IntRange(2, 5).Draw(t, "peers"))
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			peer := rapid.SampledFrom(p.peers).Draw(t, "peer")
			if ids := p.ready(peer); len(ids) > 0 && rapid.Bool().Draw(t, "deliver") {
				p.deliver(peer, rapid.SampledFrom(ids).Draw(t, "message"))
			} else {
				p.say(peer)
			}
		}
		p.say(p.peers[0]) // so that something was
		p.finish()
		judge := func(events []event.Event) Checked {
			c, err := Check(&Record{Events: numbered(events)}, "chat")
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		if c := judge(p.events); c.Verdict != Pass {
			t.Fatalf("a right history: %s", c)
		}
		var places []int
		for i, e := range p.events {
			if e.Kind == event.ChatDelivered {
				places = append(places, i)
			}
		}
		i := rapid.SampledFrom(places).Draw(t, "mutated")
		e := p.events[i]
		only := func(what string, events []event.Event, promise string) {
			c := judge(events)
			if c.Verdict != Fail || len(c.Broken) != 1 || c.Broken[0].Promise != promise {
				t.Fatalf("%s, %s at %s: want %s broken and nothing else: %s", what, e.Message, e.Peer, promise, c)
			}
		}
		lost := slices.Delete(slices.Clone(p.events), i, i+1)
		only("lost", lost, "validity")
		only("twice", slices.Insert(slices.Clone(p.events), i, e), "integrity")
		forged := slices.Clone(p.events)
		forged[i].Text = "forged"
		only("forged", forged, "integrity")
		id, _ := parseMessage(e.Message)
		if len(p.peers) > 2 {
			only("lost, and its author dies", with(lost, lab(1000, testbed.LabKill, id.name)), "agreement")
		}
		// Late: after the first message at this peer of which it is a cause. If the
		// peer itself said that, it is not one any more.
		for j := i + 1; j < len(p.events); j++ {
			later := p.events[j]
			if later.Peer != e.Peer {
				continue
			}
			if later.Kind == event.ChatSent {
				break
			}
			if slices.Contains(p.causes[later.Message], e.Message) {
				late := slices.Clone(p.events)
				copy(late[i:j], p.events[i+1:j+1])
				late[j] = e
				only("late", late, "causal order")
				break
			}
		}
	})
}

// talk is a history in which each of some peers says as much and all deliver it.
func talk(peers, each int) []event.Event {
	names := testbed.Names(peers)
	events := inChat(names...)
	for seq := 1; seq <= each; seq++ {
		for i, author := range names {
			s := 10 + float64(seq) + float64(i)/100
			id := fmt.Sprintf("%s/7/%d", author, seq)
			events = append(events, sent(s, author, id))
			for _, peer := range names {
				if peer != author {
					events = append(events, delivered(s+0.001, peer, id))
				}
			}
		}
	}
	return numbered(events)
}

// BenchmarkChat judges up to 10,000 messages of each of 8 peers, 560,000 deliveries.
// It is near-linear as long as the cost of a delivery does not grow.
func BenchmarkChat(b *testing.B) {
	for _, each := range []int{1250, 2500, 10_000} {
		r := &Record{Events: talk(8, each)}
		b.Run(fmt.Sprintf("%d messages", 8*each), func(b *testing.B) {
			for b.Loop() {
				if c, _ := Check(r, "chat"); c.Verdict != Pass {
					b.Fatal(c)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(7*8*each), "ns/delivery")
		})
	}
}
