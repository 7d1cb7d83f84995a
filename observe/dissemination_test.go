package observe

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/observe/theory"
	"peerlab/testbed"
)

// wrote is what a peer reports of a write of the key k.
func wrote(s float64, peer string, kind event.Kind, author string, version uint64, via string) event.Event {
	return event.Event{Time: at(s), Peer: peer, Kind: kind, Key: "k", Member: author, Version: version, Via: via}
}

// saysOf is what a peer reports about an incarnation of a member.
func saysOf(s float64, peer string, kind event.Kind, member string, incarnation uint32) event.Event {
	e := says(s, peer, kind, member)
	e.Incarnation = incarnation
	return e
}

func TestDisseminations(t *testing.T) {
	const set, deleted, update = event.BroadcastSet, event.BroadcastDeleted, event.MemberUpdate
	abcd := cluster("a", "b", "c", "d")
	one := with(abcd, wrote(10, "a", set, "a", 1, "own"), wrote(11, "b", set, "a", 1, "gossip"))
	all := with(one, wrote(12, "c", set, "a", 1, "gossip"), wrote(15, "d", set, "a", 1, "push/pull"))
	key := Dissemination{What: "key", Name: "k", Author: "a", At: at(10), Nodes: 4, Healthy: true, First: sec, All: 5 * sec, Reached: 3, PushPull: []time.Duration{5 * sec}}
	changed := func(change func(*Dissemination)) []Dissemination {
		d := key
		change(&d)
		return []Dissemination{d}
	}
	cut := "d -> a,b,c drop=all; a,b,c -> d drop=all"
	tests := []struct {
		name   string
		events []event.Event
		want   []Dissemination
	}{
		{"all have it", all, []Dissemination{key}},
		{"one misses it", one, changed(func(d *Dissemination) { d.All, d.Reached, d.Missed, d.PushPull = sec, 1, 2, nil })},
		{"one stops before it has it", with(one, wrote(12, "c", set, "a", 1, "gossip"), lab(13, testbed.LabKill, "d")), changed(func(d *Dissemination) { d.All, d.Reached, d.PushPull = 2*sec, 2, nil })},
		{"one is cut off before it has it", with(one, wrote(12, "c", set, "a", 1, "gossip"), links(13, cut)), changed(func(d *Dissemination) { d.All, d.Reached, d.PushPull = 2*sec, 2, nil })},
		{
			"one was cut off before", with(one, links(9, cut), wrote(12, "c", set, "a", 1, "gossip")),
			changed(func(d *Dissemination) { d.Nodes, d.Healthy, d.All, d.Reached, d.PushPull = 3, false, 2*sec, 2, nil }),
		},
		{"on a degraded link", with(all, links(5, "a -> b drop=udp")), changed(func(d *Dissemination) { d.Healthy = false })},
		{
			"it is overtaken by its deletion", with(one, wrote(12, "b", deleted, "b", 2, "own"), wrote(13, "a", deleted, "b", 2, "gossip"), wrote(13, "c", deleted, "b", 2, "gossip"), wrote(14, "d", deleted, "b", 2, "gossip")),
			append(changed(func(d *Dissemination) { d.All, d.Reached, d.Overtaken, d.PushPull = sec, 1, 2, nil }),
				Dissemination{What: "deletion", Name: "k", Author: "b", At: at(12), Nodes: 4, Healthy: true, First: sec, All: 2 * sec, Reached: 3}),
		},
		{
			"its author is restarted and writes again", with(all, lab(20, testbed.LabKill, "a"), lab(21, testbed.LabStart, "a"), started(21, "a"), says(21, "a", event.MemberJoin, "a"),
				says(21, "a", event.MemberJoin, "b"), says(21, "a", event.MemberJoin, "c"), wrote(22, "a", set, "a", 1, "own"), wrote(23, "b", set, "a", 1, "gossip"), wrote(24, "c", set, "a", 1, "gossip")),
			[]Dissemination{key, {What: "key", Name: "k", Author: "a", At: at(22), Nodes: 3, Healthy: true, First: sec, All: 2 * sec, Reached: 2}},
		},
		{"one leaves before it has it", with(one, wrote(12, "c", set, "a", 1, "gossip"), says(13, "d", event.MemberLeft, "d")), changed(func(d *Dissemination) { d.All, d.Reached, d.PushPull = 2*sec, 2, nil })},
		{
			"one has just left", with(abcd, says(9, "d", event.MemberLeft, "d"), wrote(10, "a", set, "a", 1, "own"), wrote(11, "b", set, "a", 1, "gossip"), wrote(12, "c", set, "a", 1, "gossip")),
			changed(func(d *Dissemination) { d.Nodes, d.All, d.Reached, d.PushPull = 3, 2*sec, 2, nil }),
		},
		{"what was written before the run is no news", with(abcd, wrote(11, "b", set, "x", 1, "gossip")), nil},
		{
			"an update, which a later one has, too", with(abcd, saysOf(10, "a", update, "a", 2), saysOf(11, "a", update, "a", 3), saysOf(12, "b", update, "a", 2), saysOf(13, "b", update, "a", 3), saysOf(14, "c", update, "a", 3), saysOf(15, "d", event.MemberRefute, "a", 4)),
			[]Dissemination{
				{What: "update", Name: "a", Author: "a", At: at(10), Nodes: 4, Healthy: true, First: 2 * sec, All: 5 * sec, Reached: 3},
				{What: "update", Name: "a", Author: "a", At: at(11), Nodes: 4, Healthy: true, First: 2 * sec, All: 4 * sec, Reached: 3},
			},
		},
		{
			"a join", with(abcd, lab(10, testbed.LabStart, "e"), started(10, "e"), says(10.5, "e", event.MemberJoin, "e"), says(11, "a", event.MemberJoin, "e"), says(12, "b", event.MemberJoin, "e"), says(12, "c", event.MemberJoin, "e"), says(13.5, "d", event.MemberJoin, "e")),
			[]Dissemination{{What: "join", Name: "e", Author: "e", At: at(10.5), Nodes: 5, Healthy: true, First: sec / 2, All: 3 * sec, Reached: 4}},
		},
		{
			"a join while another runs without membership", with(abcd, started(9, "x"), says(9, "d", event.MemberLeft, "d"), started(10, "e"), says(10.5, "e", event.MemberJoin, "e"), says(11, "a", event.MemberJoin, "e"), says(12, "b", event.MemberJoin, "e"), says(12, "c", event.MemberJoin, "e")),
			[]Dissemination{{What: "join", Name: "e", Author: "e", At: at(10.5), Nodes: 4, Healthy: true, First: sec / 2, All: 3 * sec / 2, Reached: 3}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := slices.DeleteFunc(Disseminations(test.events), func(d Dissemination) bool { return d.At.Before(at(5)) })
			if len(got) == 0 {
				got = nil
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestMeasureDissemination(t *testing.T) {
	events := with(cluster("a", "b", "c", "d"),
		wrote(10, "a", event.BroadcastSet, "a", 1, "own"), wrote(10.1, "b", event.BroadcastSet, "a", 1, "gossip"), wrote(10.3, "c", event.BroadcastSet, "a", 1, "gossip"), wrote(18, "d", event.BroadcastSet, "a", 1, "push/pull"))
	model := lan(4)
	model.GossipNodes, model.RetransmitMult = 1, 3
	for _, test := range []struct {
		name     string
		used     map[string]string
		settings map[string]string
		missed   float64 // expected
	}{
		{"memberlist's setting", nil, nil, model.Missed()},
		{"the one asked for, as old runs have it", nil, map[string]string{"broadcast-retransmit": "1"}, 7. / 9},
		{"the one used", map[string]string{"broadcast-retransmit": "1"}, nil, 7. / 9},
	} {
		m, err := Measure(&Record{Events: events, Model: model, Used: test.used, Settings: test.settings}, "dissemination")
		if err != nil {
			t.Fatal(err)
		}
		first, all, rounds, missed := m.Figure("key first"), m.Figure("key all"), m.Figure("key rounds"), m.Figure("key missed by gossip")
		if !slices.Equal(first.Values, []float64{0.1}) || !slices.Equal(all.Values, []float64{8}) || !slices.Equal(rounds.Values, []float64{40}) || !slices.Equal(missed.Values, []float64{1}) {
			t.Errorf("%s: %v", test.name, m)
		}
		if first.Expected == nil || all.Expected == nil || rounds.Expected == nil || missed.Expected == nil || missed.Expected.Expected-test.missed > 1e-9 {
			t.Errorf("%s: expected %v %v %v %v, want %g missed", test.name, first.Expected, all.Expected, rounds.Expected, missed.Expected, test.missed)
		}
	}
	m, err := Measure(&Record{Events: events[:len(events)-1], Model: theory.Model{}}, "dissemination")
	if text := m.String(); err != nil || !strings.Contains(text, "key k of a: 1 of 3 others had not heard of it") || m.Figure("key all").Expected != nil {
		t.Errorf("%v\n%s", err, text)
	}
}
