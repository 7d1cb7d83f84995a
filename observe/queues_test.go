package observe

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"peerlab/event"
	"peerlab/testbed"
)

func queues(s float64, peer, text string, dropped uint64) event.Event {
	return event.Event{Time: at(s), Peer: peer, Kind: event.PeerQueues, Text: text, Dropped: dropped}
}

func TestMeasureQueues(t *testing.T) {
	r := &Record{Began: at(0), Ended: at(10), Events: []event.Event{
		started(0, "a"), started(0, "b"), started(0, "c"),
		queues(5, "a", "alive=0,4,7,3,0/2 broadcast=1,1,1,1,1/3.5", 0),
		queues(5, "b", "alive=0,0,9,0,0/0.5", 2),
		{Time: at(6), Peer: "b", Kind: event.PeerBacklog, Text: "membership", Messages: 130},
		queues(8, "a", "zeta=1,0/0", 1), queues(9, "a", "what", 1),
		{Time: at(10), Peer: "a", Kind: event.PeerTraffic},
	}}
	m, err := Measure(r, "queues")
	if err != nil {
		t.Fatal(err)
	}
	want := []Figure{
		{Name: "alive", Values: []float64{7, 9, 0}},
		{Name: "alive oldest", Unit: "s", Values: []float64{2, 0.5}},
		{Name: "membership", Values: []float64{7, 130, 0}},
		{Name: "broadcast", Values: []float64{1, 0, 0}},
		{Name: "broadcast oldest", Unit: "s", Values: []float64{3.5}},
		{Name: "zeta", Values: []float64{1, 0, 0}},
		{Name: "zeta oldest", Unit: "s", Values: []float64{0}},
		{Name: "dropped", Values: []float64{3}},
		{Name: "backlogs", Values: []float64{1}},
	}
	if !reflect.DeepEqual(m.Figures, want) {
		t.Errorf("got %+v\nwant %+v", m.Figures, want)
	}
	series := []Series{
		{Name: "alive", Step: 1, Values: []float64{0, 0, 4, 9, 3, 0, 0, 0, 0, 0}},
		{Name: "alive", Peer: "b", Step: 1, Values: []float64{0, 0, 0, 9, 0, 0, 0, 0, 0, 0}},
		{Name: "alive", Peer: "a", Step: 1, Values: []float64{0, 0, 4, 7, 3, 0, 0, 0, 0, 0}},
	}
	if got := m.Series[:3]; !reflect.DeepEqual(got, series) {
		t.Errorf("got %+v\nwant %+v", got, series)
	}
	text := m.String()
	for _, line := range []string{
		"queues over time, 1 s a column, from 0 s on (· is none)\n",
		"queues alive      all ··▄█▃·····  up to 9 at 3 s\n",
		"queues alive      b   ···█······  up to 9 at 3 s\n",
		"queues: most were dropped by b: 2\n",
		"queues: b: 130 in its membership queue for seconds, at 03:00:06\n",
		"queues: 1 reports cannot be read\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("there is no %q in\n%s", line, text)
		}
	}

	r.Since = at(5.5)
	if m, _ = Measure(r, "queues"); !slices.Equal(m.Figure("membership").Values, []float64{0, 130, 0}) {
		t.Errorf("since then %+v", m.Figures)
	}
	if len(m.Figure("alive").Values) != 0 || !slices.Equal(m.Figure("zeta").Values, []float64{1, 0, 0}) {
		t.Errorf("since then %+v", m.Figures)
	}
	if m, _ = Measure(&Record{Events: []event.Event{started(0, "a")}}, "queues"); len(m.Figures) != 0 || len(m.Notes) != 1 {
		t.Errorf("of a run that knows no queues: %+v", m)
	}
	damaged := event.Event{Time: at(1), Peer: "a", Kind: event.PeerQueues, Text: "alive"}
	if m, _ = Measure(&Record{Events: []event.Event{started(0, "a"), damaged}}, "queues"); !slices.Equal(m.Notes, []string{"1 reports cannot be read"}) {
		t.Errorf("of a run whose only report is damaged: %q", m.Notes)
	}
}

// What a peer told of a long queue counts, though the run ended before its
// report of that time.
func TestQueuesCountBacklogs(t *testing.T) {
	r := &Record{Began: at(0), Ended: at(10), Events: []event.Event{
		started(0, "a"), started(0, "b"), started(0, "c"),
		queues(5, "a", "alive=0,4,7,3,0/2 dead=0,0,5,60,0/1 suspect=0,0,0,1,0/1", 0),
		{Time: at(8), Peer: "b", Kind: event.PeerBacklog, Text: "membership", Messages: 201},
		{Time: at(8), Peer: "c", Kind: event.PeerBacklog, Text: "broadcast", Messages: 150},
	}}
	m, err := Measure(r, "queues")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []Figure{
		{Name: "membership", Values: []float64{64, 201, 0}},
		{Name: "alive", Values: []float64{7, 0, 0}},
		{Name: "broadcast", Values: []float64{0, 0, 150}},
		{Name: "broadcast oldest", Unit: "s"}, // nobody told
	} {
		if got := m.Figure(want.Name); !slices.Equal(got.Values, want.Values) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	for _, line := range []string{
		"queues membership all ··▁▁▃··█  up to 201 at 7 s\n",
		"queues broadcast  c   ·······█  up to 150 at 7 s\n",
	} {
		if text := m.String(); !strings.Contains(text, line) {
			t.Errorf("there is no %q in\n%s", line, text)
		}
	}
}

// The text of a large and long run fits a terminal of 80 columns, and its JSON
// stays small.
func TestSeriesStaySmall(t *testing.T) {
	r := &Record{Began: at(0), Ended: at(600)}
	names := testbed.Names(200)
	for i, name := range names {
		r.Events = append(r.Events, started(0, name))
		for s := 5; s <= 600; s += 5 {
			r.Events = append(
				r.Events, queues(float64(s), name, "alive=200,1,1,1,1/3 broadcast=1000,1,1,1,1/600", 0),
				event.Event{Time: at(float64(s)), Peer: name, Kind: event.PeerTraffic, Packets: uint64(s * 100), Bytes: uint64(s * 1000 * (i + 1))},
			)
		}
	}
	for name, many := range map[string]int{"queues": 3, "traffic": 2} {
		m, err := Measure(r, name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(m.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
		if want := many * (1 + maxSeriesPeers); len(m.Series) != want {
			t.Errorf("%s has %d series, not %d", name, len(m.Series), want)
		}
		for _, s := range m.Series {
			if len(s.Values) != maxBuckets || s.Step != 25 {
				t.Errorf("%s %s has %d values of %g s", s.Name, s.Peer, len(s.Values), s.Step)
			}
		}
	}
}

func TestTrafficOverTime(t *testing.T) {
	account := func(s float64, peer string, bytes uint64) event.Event {
		return event.Event{Time: at(s), Peer: peer, Kind: event.PeerTraffic, Packets: bytes / 100, Bytes: bytes}
	}
	r := &Record{Began: at(0), Ended: at(19), Events: []event.Event{
		started(0, "a"), started(5, "b"), account(5, "a", 1000), account(10, "b", 500), account(15, "a", 5000), account(15, "b", 1000),
	}}
	m, err := Measure(r, "traffic")
	if err != nil {
		t.Fatal(err)
	}
	want := []Series{
		{Name: "bytes", Unit: "B/s", Step: 5, Values: []float64{200, 500, 500}},
		{Name: "bytes", Peer: "a", Unit: "B/s", Step: 5, Values: []float64{200, 400, 400}},
		{Name: "bytes", Peer: "b", Unit: "B/s", Step: 5, Values: []float64{0, 100, 100}},
	}
	if got := m.Series[3:]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	r.Since = at(10) // half of a's second report
	m, _ = Measure(r, "traffic")
	if got := m.Figure("bytes").Values; !slices.Equal(got, []float64{400, 100}) {
		t.Errorf("since then %v", got)
	}
	if got := m.Series[3]; got.Start != 10 || !slices.Equal(got.Values, []float64{500}) {
		t.Errorf("since then %+v", got)
	}
}

// Since a mark only what began after it counts, though all before it is known.
func TestMeasuresSinceAMark(t *testing.T) {
	mark := func(s float64, text string) event.Event {
		return event.Event{Time: at(s), Peer: testbed.Lab, Kind: testbed.LabMark, Text: text}
	}
	events := with(
		cluster("a", "b", "c"), sent(10, "a", "a/7/1"), delivered(10.1, "b", "a/7/1"),
		says(11, "a", event.MemberSuspect, "c"), says(11.1, "c", event.MemberRefute, "c"),
		wrote(12, "a", event.BroadcastSet, "a", 1, "own"), wrote(12.5, "b", event.BroadcastSet, "a", 1, "gossip"), wrote(13, "c", event.BroadcastSet, "a", 1, "gossip"),
		saysOf(14, "a", event.MemberUpdate, "a", 2), saysOf(15, "b", event.MemberUpdate, "a", 2), saysOf(15, "c", event.MemberUpdate, "a", 2),
		lab(20, testbed.LabKill, "b"), mark(20, "first"), // at the same instant, after it
		says(25, "a", event.MemberDead, "b"), says(25, "c", event.MemberDead, "b"),
		mark(30, "second"), sent(31, "a", "a/7/2"), delivered(31.5, "c", "a/7/2"), delivered(31.5, "c", "a/7/1"),
		wrote(32, "a", event.BroadcastSet, "a", 2, "own"), wrote(35, "c", event.BroadcastSet, "a", 2, "gossip"),
		mark(36, "third"),
		lab(40, testbed.LabKill, "c"), says(47, "a", event.MemberDead, "c"),
	)
	r := &Record{Began: at(0), Ended: at(50), Events: events}
	for _, test := range []struct {
		mark, measure, figure string
		want                  []float64
	}{
		{"none", "detection", "kill all", []float64{5, 7}},
		{"first", "detection", "kill all", []float64{7}},
		{"none", "chat", "sent", []float64{2}},
		{"second", "chat", "sent", []float64{1}},
		{"second", "chat", "latency p100", []float64{0.5}},
		{"none", "dissemination", "key all", []float64{1, 3}},
		{"second", "dissemination", "key all", []float64{3}},
		{"third", "dissemination", "key all", nil},
		{"first", "dissemination", "update all", nil},
		{"none", "fp", "suspicions", []float64{1}},
		{"first", "fp", "suspicions", []float64{0}},
	} {
		part := r
		if test.mark != "none" {
			var err error
			if part, err = r.SinceMark(test.mark); err != nil {
				t.Fatal(err)
			}
		}
		m, err := Measure(part, test.measure)
		if err != nil {
			t.Fatal(err)
		}
		got := m.Figure(test.figure).Values
		if len(got) != len(test.want) {
			t.Errorf("since %q %s %s is %v, not %v", test.mark, test.measure, test.figure, got, test.want)
			continue
		}
		for i := range got {
			if got[i] < test.want[i]*0.99 || got[i] > test.want[i]*1.01 {
				t.Errorf("since %q %s %s is %v, not %v", test.mark, test.measure, test.figure, got, test.want)
			}
		}
	}
	if _, err := r.SinceMark("fourth"); err == nil {
		t.Error("there is a mark that nobody set")
	}
}
