package observe

import (
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/event"
	"peerlab/observe/theory"
	"peerlab/testbed"
)

// cluster is a history in which peers start at 0 s and see each other at 1 s.
func cluster(peers ...string) []event.Event {
	var events []event.Event
	for _, p := range peers {
		events = append(events, lab(0, testbed.LabStart, p), started(0.1, p))
	}
	for _, p := range peers {
		for _, m := range peers {
			events = append(events, says(1, p, event.MemberJoin, m))
		}
	}
	return events
}

// links is a change of links.
func links(s float64, text string) event.Event {
	e := event.Event{Time: at(s), Peer: testbed.Lab, Kind: testbed.LabCut, Text: text}
	if text == "" {
		e.Kind = testbed.LabHeal
	}
	return e
}

func lan(peers int) theory.Model { return theory.Of(memberlist.DefaultLANConfig(), peers) }

func with(events []event.Event, more ...event.Event) []event.Event {
	return slices.Concat(events, more)
}

const sec = time.Second

func TestDetections(t *testing.T) {
	abc, abcde := cluster("a", "b", "c"), cluster("a", "b", "c", "d", "e")
	kill := with(abc, lab(10, testbed.LabKill, "c"), says(15, "a", event.MemberDead, "c"))
	told := with(kill, says(16, "b", event.MemberDead, "c"))
	cutE := "e -> a,b,c,d drop=all; a,b,c,d -> e drop=all"
	split := "a,b -> c,d,e drop=all; c,d,e -> a,b drop=all"
	tests := []struct {
		name       string
		events     []event.Event
		failures   []Failure
		isolations []Isolation
	}{
		{"nothing happens", abc, nil, nil},
		{"kill", told, []Failure{{Member: "c", Cause: "kill", At: at(10), Nodes: 3, Alone: true, First: 5 * sec, All: 6 * sec, Detected: 2}}, nil},
		{"kill while a link is degraded", with(told, links(5, "a -> b drop=udp")), []Failure{{Member: "c", Cause: "kill", At: at(10), Nodes: 3, First: 5 * sec, All: 6 * sec, Detected: 2}}, nil},
		{"kill after a link was healed", with(told, links(5, "a -> b drop=udp"), links(6, "")), []Failure{{Member: "c", Cause: "kill", At: at(10), Nodes: 3, Alone: true, First: 5 * sec, All: 6 * sec, Detected: 2}}, nil},
		{"one never notices", kill, []Failure{{Member: "c", Cause: "kill", At: at(10), Nodes: 3, Alone: true, First: 5 * sec, All: 5 * sec, Detected: 1, Missed: 1}}, nil},
		{
			"a report from before the kill counts as at once", with(kill, says(9.9, "b", event.MemberDead, "c")),
			[]Failure{{Member: "c", Cause: "kill", At: at(10), Nodes: 3, Alone: true, First: 5 * sec, All: 5 * sec, Detected: 1}},
			nil,
		},
		{
			"back before the second notices", with(kill, lab(15.5, testbed.LabStart, "c"), says(16, "b", event.MemberDead, "c")),
			[]Failure{{Member: "c", Cause: "kill", At: at(10), Nodes: 3, Alone: true, First: 5 * sec, All: 5 * sec, Detected: 1, Missed: 1}},
			nil,
		},
		{
			"a dead observer drops out", with(kill, lab(15.5, testbed.LabKill, "b"), says(16, "b", event.MemberDead, "c"), says(17, "a", event.MemberDead, "b")),
			[]Failure{
				{Member: "c", Cause: "kill", At: at(10), Nodes: 3, First: 5 * sec, All: 5 * sec, Detected: 1},
				{Member: "b", Cause: "kill", At: at(15.5), Nodes: 2, First: 1500 * time.Millisecond, All: 1500 * time.Millisecond, Detected: 1},
			},
			nil,
		},
		{
			"one after the other are alone", with(told, lab(20, testbed.LabKill, "b"), says(26, "a", event.MemberDead, "b")),
			[]Failure{
				{Member: "c", Cause: "kill", At: at(10), Nodes: 3, Alone: true, First: 5 * sec, All: 6 * sec, Detected: 2},
				{Member: "b", Cause: "kill", At: at(20), Nodes: 2, Alone: true, First: 6 * sec, All: 6 * sec, Detected: 1},
			},
			nil,
		},
		{
			"it ends by itself", with(abc, lab(10, testbed.LabExit, "c"), says(15, "a", event.MemberDead, "c"), says(16, "b", event.MemberDead, "c")),
			[]Failure{{Member: "c", Cause: "exit", At: at(10), Nodes: 3, Alone: true, First: 5 * sec, All: 6 * sec, Detected: 2}},
			nil,
		},
		{"a stop is no failure", with(abc, lab(10, testbed.LabStop, "c"), says(11, "a", event.MemberLeft, "c")), nil, nil},
		{
			"pause, killed while paused", with(abc, lab(10, testbed.LabPause, "c"), says(15, "a", event.MemberDead, "c"),
				lab(15.5, testbed.LabKill, "c"), says(17, "b", event.MemberDead, "c")),
			[]Failure{{Member: "c", Cause: "pause", At: at(10), Nodes: 3, Alone: true, First: 5 * sec, All: 7 * sec, Detected: 2}},
			nil,
		},
		{
			"a pause that ends", with(abc, lab(10, testbed.LabPause, "c"), lab(13, testbed.LabResume, "c"), says(16, "a", event.MemberDead, "c")),
			[]Failure{{Member: "c", Cause: "pause", At: at(10), Nodes: 3, Alone: true, Missed: 2}},
			nil,
		},
		{
			"two at once are not alone", with(abcde, lab(10, testbed.LabKill, "d"), lab(11, testbed.LabKill, "e"),
				says(16, "a", event.MemberDead, "d"), says(16, "b", event.MemberDead, "d"), says(16, "c", event.MemberDead, "d"),
				says(17, "a", event.MemberDead, "e"), says(17, "b", event.MemberDead, "e"), says(18, "c", event.MemberDead, "e")),
			[]Failure{
				{Member: "d", Cause: "kill", At: at(10), Nodes: 5, First: 6 * sec, All: 6 * sec, Detected: 3},
				{Member: "e", Cause: "kill", At: at(11), Nodes: 4, First: 6 * sec, All: 7 * sec, Detected: 3},
			},
			nil,
		},
		{
			"cut off from all", with(abcde, links(10, cutE),
				says(16, "a", event.MemberDead, "e"), says(17, "b", event.MemberDead, "e"), says(17, "c", event.MemberDead, "e"), says(17, "d", event.MemberDead, "e"),
				says(35, "e", event.MemberDead, "a"), says(40, "e", event.MemberDead, "b"), says(41, "e", event.MemberDead, "c"), says(52, "e", event.MemberDead, "d")),
			[]Failure{{Member: "e", Cause: "cut", At: at(10), Nodes: 5, Alone: true, First: 6 * sec, All: 7 * sec, Detected: 4}},
			[]Isolation{{Peer: "e", At: at(10), Nodes: 5, First: 25 * sec, Last: 42 * sec, Detected: 4}},
		},
		{
			"healed before the lone one knows all", with(abcde, links(10, cutE), says(35, "e", event.MemberDead, "a"), links(36, ""), says(37, "e", event.MemberDead, "b")),
			[]Failure{{Member: "e", Cause: "cut", At: at(10), Nodes: 5, Alone: true, Missed: 4}},
			[]Isolation{{Peer: "e", At: at(10), Nodes: 5, First: 25 * sec, Last: 25 * sec, Detected: 1, Missed: 3}},
		},
		{
			"split", with(abcde, links(10, split), says(16, "c", event.MemberDead, "a"), says(17, "d", event.MemberDead, "a"), says(18, "e", event.MemberDead, "a")),
			[]Failure{
				{Member: "a", Cause: "cut", At: at(10), Nodes: 5, First: 6 * sec, All: 8 * sec, Detected: 3},
				{Member: "b", Cause: "cut", At: at(10), Nodes: 5, Missed: 3},
				{Member: "c", Cause: "cut", At: at(10), Nodes: 5, Missed: 2},
				{Member: "d", Cause: "cut", At: at(10), Nodes: 5, Missed: 2},
				{Member: "e", Cause: "cut", At: at(10), Nodes: 5, Missed: 2},
			},
			nil,
		},
		{"others still lead there", with(abc, links(10, "a -> b drop=all; b -> a drop=all")), nil, nil},
		{"loss is no failure", with(abc, links(10, "a,b -> c loss=30%; c -> a,b loss=30%")), nil, nil},
		{"UDP alone is none either", with(abc, links(10, "a,b -> c drop=udp; c -> a,b drop=udp")), nil, nil},
		{
			"deaf is cut off", with(abc, links(10, "a,b -> c drop=all"), says(15, "a", event.MemberDead, "c"), says(15, "b", event.MemberDead, "c")),
			[]Failure{{Member: "c", Cause: "cut", At: at(10), Nodes: 3, Alone: true, First: 5 * sec, All: 5 * sec, Detected: 2}},
			[]Isolation{{Peer: "c", At: at(10), Nodes: 3, Missed: 2}},
		},
		{
			"the throttled do not count", with(abc, event.Event{Time: at(9), Peer: testbed.Lab, Kind: testbed.LabThrottle, Member: "b", Text: "0.02"},
				lab(10, testbed.LabKill, "c"), says(15, "a", event.MemberDead, "c"), says(16, "b", event.MemberDead, "c")),
			[]Failure{{Member: "c", Cause: "kill", At: at(10), Nodes: 3, Alone: true, First: 5 * sec, All: 5 * sec, Detected: 1}},
			nil,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			failures, isolations := Detections(test.events)
			if !slices.Equal(failures, test.failures) {
				t.Errorf("failures\n%+v\nwant\n%+v", failures, test.failures)
			}
			if !slices.Equal(isolations, test.isolations) {
				t.Errorf("isolations\n%+v\nwant\n%+v", isolations, test.isolations)
			}
		})
	}
}

func TestFalsePositives(t *testing.T) {
	const max = 24 * sec
	abc := cluster("a", "b", "c")
	five := cluster("a", "b", "c", "d", "e")
	wrong := says(50, "a", event.MemberDead, "b")
	sick := wrong
	sick.Health = 1
	again := says(60, "a", event.MemberJoin, "b")
	again.Was = "dead"
	throttle := func(s float64, peer, cpus string) event.Event {
		return event.Event{Time: at(s), Peer: testbed.Lab, Kind: testbed.LabThrottle, Member: peer, Text: cpus}
	}
	type counts struct{ fp, healthy, unreachable, flaps, suspicions, refutations int }
	tests := []struct {
		name   string
		events []event.Event
		want   counts
	}{
		{"nothing happens", abc, counts{}},
		{"a live member declared dead", with(abc, wrong), counts{fp: 1, healthy: 1}},
		{"by each of two", with(abc, wrong, says(51, "c", event.MemberDead, "b")), counts{fp: 2, healthy: 2}},
		{"by an observer with a bad score", with(abc, sick), counts{fp: 1}},
		{"by a throttled observer", with(abc, throttle(40, "a", "0.02"), wrong), counts{fp: 1}},
		{"soon after the throttle", with(abc, throttle(20, "a", "0.02"), throttle(40, "a", "0"), wrong), counts{fp: 1}},
		{"long after the throttle", with(abc, throttle(20, "a", "0.02"), throttle(25, "a", "0"), wrong), counts{fp: 1, healthy: 1}},
		{"of a throttled member", with(abc, throttle(40, "b", "0.02"), wrong), counts{unreachable: 1}},
		{"of a paused member", with(abc, lab(40, testbed.LabPause, "b"), wrong), counts{unreachable: 1}},
		{"of one resumed just before", with(abc, lab(40, testbed.LabPause, "b"), lab(49, testbed.LabResume, "b"), wrong), counts{unreachable: 1}},
		{"by a paused observer", with(abc, lab(40, testbed.LabPause, "a"), wrong), counts{fp: 1}},
		{"by a dead observer", with(abc, lab(40, testbed.LabKill, "a"), wrong), counts{}},
		{"of a dead member", with(abc, lab(40, testbed.LabKill, "b"), wrong), counts{}},
		{"of one restarted just before", with(abc, lab(40, testbed.LabKill, "b"), lab(41, testbed.LabStart, "b"), started(42, "b"), wrong), counts{unreachable: 1}},
		{"of one restarted long before", with(abc, lab(10, testbed.LabKill, "b"), lab(11, testbed.LabStart, "b"), started(12, "b"), wrong), counts{fp: 1, healthy: 1}},
		{"across a cut", with(five, links(40, "a -> b drop=all"), wrong), counts{unreachable: 1}},
		{"across a cut of the way back", with(five, links(40, "b -> a drop=all"), wrong), counts{unreachable: 1}},
		{"by one that is told across no cut", with(five, links(40, "c -> b drop=all"), wrong), counts{fp: 1, healthy: 1}},
		{"just after a heal, by the one that was cut off", with(five, links(40, "a -> b,c,d,e drop=all"), links(49, ""), wrong), counts{fp: 1}},
		{"long after it", with(five, links(10, "a -> b,c,d,e drop=all"), links(20, ""), wrong), counts{fp: 1, healthy: 1}},
		{"over a bad link", with(five, links(40, "a -> b loss=30%"), wrong), counts{fp: 1, healthy: 1}},
		{"and alive again once forgotten", with(abc, wrong, says(90, "a", event.MemberReap, "b"), says(91, "a", event.MemberJoin, "b")), counts{fp: 1, healthy: 1, flaps: 1}},
		{"and alive again", with(abc, wrong, again), counts{fp: 1, healthy: 1, flaps: 1}},
		{
			"alive again in a new life", with(abc, wrong, lab(52, testbed.LabKill, "b"), lab(53, testbed.LabStart, "b"), started(54, "b"), again),
			counts{fp: 1, healthy: 1},
		},
		{
			"alive for a new life of the observer", with(abc, wrong, lab(52, testbed.LabKill, "a"), lab(53, testbed.LabStart, "a"), started(54, "a"), says(55, "a", event.MemberJoin, "b")),
			counts{fp: 1, healthy: 1},
		},
		{
			"alive in a new node table of the observer", with(abc, wrong, says(54, "a", event.MemberJoin, "a"), says(55, "a", event.MemberJoin, "b")),
			counts{fp: 1, healthy: 1},
		},
		{
			"suspected and refuted", with(abc, says(50, "a", event.MemberSuspect, "b"), says(50.1, "b", event.MemberRefute, "b"), says(50.2, "a", event.MemberRefute, "b")),
			counts{suspicions: 1, refutations: 1},
		},
		{"suspected for a reason", with(abc, lab(49, testbed.LabPause, "b"), says(50, "a", event.MemberSuspect, "b")), counts{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := FalsePositives(test.events, max, time.Time{})
			got := counts{len(m.False), m.Healthy(), m.Unreachable, m.Flaps, m.Suspicions, m.Refutations}
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestHealings(t *testing.T) {
	abc := cluster("a", "b", "c")
	cut := with(abc, links(10, "a,b -> c drop=all; c -> a,b drop=all"),
		says(16, "a", event.MemberDead, "c"), says(16, "b", event.MemberDead, "c"), says(20, "c", event.MemberDead, "a"), says(20, "c", event.MemberSuspect, "b"))
	back := with(cut, links(30, ""),
		says(31, "c", event.MemberRefute, "b"), says(32, "c", event.MemberJoin, "a"), says(33, "a", event.MemberJoin, "c"), says(34, "b", event.MemberJoin, "c"))
	tests := []struct {
		name   string
		events []event.Event
		want   []Healing
	}{
		{"nothing was broken", abc, nil},
		{"healed before anybody noticed", with(abc, links(10, "a -> b drop=all"), links(11, "")), []Healing{{Cause: "heal", At: at(11), Whole: true, Settled: true}}},
		{"heals", back, []Healing{{Cause: "heal", At: at(30), Whole: true, First: 4 * sec, Settled: true, Last: 4 * sec}}},
		{"never heals", with(cut, links(30, "")), []Healing{{Cause: "heal", At: at(30)}}},
		{"one is still suspect", with(back, says(33.5, "c", event.MemberSuspect, "b")), []Healing{{Cause: "heal", At: at(30)}}},
		{
			"an old timer fires", with(back, says(50, "c", event.MemberDead, "b"), says(55, "c", event.MemberJoin, "b")),
			[]Healing{{Cause: "heal", At: at(30), Whole: true, First: 4 * sec, Settled: true, Last: 25 * sec}},
		},
		{
			"and the lab goes on meanwhile", with(back, says(50, "c", event.MemberDead, "b"), lab(52, testbed.LabKill, "a"), says(55, "c", event.MemberJoin, "b")),
			[]Healing{{Cause: "heal", At: at(30), Whole: true, First: 4 * sec, Last: 4 * sec}},
		},
		{
			"a dead one held alive keeps views apart", with(abc, lab(10, testbed.LabKill, "c"), links(11, ""), says(15, "a", event.MemberDead, "c"), says(16, "b", event.MemberDead, "c")),
			[]Healing{{Cause: "heal", At: at(11), Whole: true, First: 5 * sec, Settled: true, Last: 5 * sec}},
		},
		{
			"resumed", with(abc, lab(10, testbed.LabPause, "c"), says(16, "a", event.MemberDead, "c"), lab(20, testbed.LabResume, "c"), says(22, "a", event.MemberJoin, "c")),
			[]Healing{{Cause: "resume", Member: "c", At: at(20), Whole: true, First: 2 * sec, Settled: true, Last: 2 * sec}},
		},
		{
			"who left is not missed", with(abc, links(10, ""), says(11, "c", event.MemberLeft, "c"), says(12, "a", event.MemberLeft, "c"), says(13, "b", event.MemberLeft, "c")),
			[]Healing{{Cause: "heal", At: at(10), Whole: true, Settled: true, Last: 3 * sec}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Healings(test.events); !slices.Equal(got, test.want) {
				t.Errorf("got\n%+v\nwant\n%+v", got, test.want)
			}
		})
	}
}

func sent(s float64, peer, id string) event.Event {
	return event.Event{Time: at(s), Peer: peer, Kind: event.ChatSent, Message: id, Text: "text of " + id}
}

func delivered(s float64, peer, id string) event.Event {
	return event.Event{Time: at(s), Peer: peer, Kind: event.ChatDelivered, Message: id, Text: "text of " + id}
}

func skipped(s float64, peer, id string, n uint64) event.Event {
	return event.Event{Time: at(s), Peer: peer, Kind: event.ChatSkipped, Message: id, Messages: n}
}

// inChat is cluster with everybody in the chat at 2 s.
func inChat(peers ...string) []event.Event {
	events := cluster(peers...)
	for _, p := range peers {
		for _, m := range peers {
			if p != m {
				events = append(events, says(2, p, event.ChatJoin, m))
			}
		}
	}
	return events
}

func TestDeliveries(t *testing.T) {
	abc := inChat("a", "b", "c")
	both := with(abc, sent(10, "a", "a/7/1"), delivered(10.1, "b", "a/7/1"), delivered(10.3, "c", "a/7/1"))
	left := says(9, "b", event.ChatLeave, "c")
	left.Reason = "leave"
	gone := left
	gone.Reason = "gone"
	restart := with(both, lab(11, testbed.LabKill, "c"), started(12, "c"))
	type counts struct{ sent, expected, delivered, late, duplicates, reordered int }
	tests := []struct {
		name   string
		events []event.Event
		want   counts
		max    float64 // of the latency, in seconds
	}{
		{"nothing said", abc, counts{}, 0},
		{"delivered to both", both, counts{sent: 1, expected: 2, delivered: 2}, 0.3},
		{"one misses it", both[:len(both)-1], counts{sent: 1, expected: 2, delivered: 1}, 0.1},
		{"twice", with(both, delivered(11, "b", "a/7/1")), counts{sent: 1, expected: 2, delivered: 2, duplicates: 1}, 0.3},
		{"again in a new life", with(restart, delivered(13, "c", "a/7/1")), counts{sent: 1, expected: 2, delivered: 2, late: 1}, 3},
		{"who left is not expected", with(abc, left, sent(10, "a", "a/7/1"), delivered(10.1, "b", "a/7/1")), counts{sent: 1, expected: 1, delivered: 1}, 0.1},
		{"who is gone is", with(abc, gone, sent(10, "a", "a/7/1"), delivered(10.1, "b", "a/7/1")), counts{sent: 1, expected: 2, delivered: 1}, 0.1},
		{"who was killed is not", with(abc, lab(9, testbed.LabKill, "c"), sent(10, "a", "a/7/1"), delivered(10.1, "b", "a/7/1")), counts{sent: 1, expected: 1, delivered: 1}, 0.1},
		{
			"who has stopped is not, though its joining is heard late", with(abc, event.Event{Time: at(9), Peer: "c", Kind: event.PeerStopping}, says(9.5, "b", event.ChatJoin, "c"), sent(10, "a", "a/7/1"), delivered(10.1, "b", "a/7/1")),
			counts{sent: 1, expected: 1, delivered: 1},
			0.1,
		},
		{
			"out of order", with(abc, sent(10, "a", "a/7/1"), sent(11, "a", "a/7/2"), delivered(11.5, "b", "a/7/2"), delivered(12, "b", "a/7/1")),
			counts{sent: 2, expected: 4, delivered: 2, reordered: 1},
			2,
		},
		{"not a message", with(both, sent(11, "a", "hello"), delivered(12, "b", "a/x/1"), delivered(12, "b", "a/1/0"), delivered(12, "b", "a/9/9")), counts{sent: 1, expected: 2, delivered: 2}, 0.3},
		{"delivered as it is sent", with(abc, delivered(10, "b", "c/7/1"), sent(10, "c", "c/7/1")), counts{sent: 1, expected: 2, delivered: 1}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := Deliveries(test.events, time.Time{})
			if got := (counts{d.Sent, d.Expected, d.Delivered, d.Late, d.Duplicates, d.Reordered}); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if got := float64(d.Latency.Max()) / 1e6; got < 0.999*test.max || got > 1.001*test.max+1e-5 {
				t.Errorf("latency up to %g s, want %g s", got, test.max)
			}
		})
	}
}

func TestTraffic(t *testing.T) {
	account := func(s float64, peer string, packets, streams, bytes uint64) event.Event {
		return event.Event{Time: at(s), Peer: peer, Kind: event.PeerTraffic, Packets: packets, Streams: streams, Bytes: bytes}
	}
	events := []event.Event{
		started(0, "a"), started(1, "b"), account(5, "a", 10, 1, 1000), account(10, "a", 20, 2, 2000), account(11, "b", 5, 0, 500),
		started(20, "a"), account(25, "a", 1, 1, 100), says(26, "a", event.MemberJoin, "a"), account(27, "a", 1, 0, 10), account(30, "a", 2, 1, 30), account(40, "stranger", 1, 1, 1),
	}
	m, err := Measure(&Record{Events: events}, "traffic")
	if err != nil || !slices.Equal(m.Figure("bytes").Values, []float64{200, 13, 50}) || !slices.Equal(m.Figure("messages").Values, []float64{2.2, 0.5, 0.5}) {
		t.Errorf("%+v, %v", m, err)
	}
}

// What was not noticed is one note, however many members there are.
func TestWhatWasNotNoticedIsOneNote(t *testing.T) {
	split := links(10, "a,b -> c,d,e drop=all; c,d,e -> a,b drop=all")
	heal := links(11, "")
	twice := with(cluster("a", "b", "c", "d", "e"), split, heal, links(20, split.Text), links(21, ""))
	r := &Record{Events: twice, Model: lan(5)}
	m, err := Measure(r, "detection")
	want := "cut not noticed when it was back or the run ended: a by 3 of 3 (2 times), b by 3 of 3 (2 times), c by 2 of 2 (2 times), d by 2 of 2 (2 times), e by 2 of 2 (2 times)"
	if err != nil || !slices.Equal(m.Notes, []string{want}) {
		t.Errorf("%q, %v", m.Notes, err)
	}
	alone := with(cluster("a", "b", "c"), links(10, "a -> b,c drop=all; b,c -> a drop=all"), links(11, ""))
	m, err = Measure(&Record{Events: alone, Model: lan(3)}, "isolation")
	if want := "still held alive when it was back or the run ended: by a 2 of 2"; err != nil || !slices.Equal(m.Notes, []string{want}) {
		t.Errorf("%q, %v", m.Notes, err)
	}
}
