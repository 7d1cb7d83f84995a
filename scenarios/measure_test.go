package scenarios

import (
	"slices"
	"strings"
	"testing"

	"peerlab/event"
	"peerlab/observe"
)

// TestQueuesInARun: real messages of memberlist wait in its queue, a broadcast
// in the map's, and a queue that stays long is reported.
func TestQueuesInARun(t *testing.T) {
	res := play(t, `cluster 6 profile=lan rejoin=0 no-chat=true RetransmitMult=20 GossipInterval=4s queue-warning=2
start
await 5m all see 6 alive
alice broadcast add motd hello
kill dave,erin
await 5m alice,bob,charly see dave,erin dead
wait 10s
measure queues
`)
	if res.Verdict != observe.Pass {
		t.Fatalf("%s: %s\n%s", res.Verdict, res.Reason, res.Story)
	}
	m := res.Record.Measures[0]
	for _, kind := range []string{"alive", "suspect", "dead", "broadcast"} {
		if values := m.Figure(kind).Values; len(values) != 6 || slices.Max(values) == 0 {
			t.Errorf("%s: %v", kind, values)
		}
	}
	if oldest := m.Figure("broadcast oldest").Values; slices.Max(oldest) < 2 {
		t.Errorf("no message waited for gossip: %v", oldest)
	}
	backlogs := 0
	for _, e := range res.Record.Events {
		if e.Kind == event.PeerBacklog {
			backlogs++
			if e.Text != "membership" || e.Messages <= 2 {
				t.Errorf("%s", e.Encode())
			}
		}
	}
	if got := m.Figure("backlogs").Values; backlogs == 0 || !slices.Equal(got, []float64{float64(backlogs)}) {
		t.Errorf("%d backlogs, measured %v", backlogs, got)
	}
	sameAgain(t, &res.Record)
}

// TestMeasureSinceAMark: what happened before the mark does not count, in a run
// and when it is judged again.
func TestMeasureSinceAMark(t *testing.T) {
	res := play(t, three+`kill bob
await 1m alice,charly see bob dead
mark bob is dead
start bob
await 1m all see 3 alive
mark 'bob is back'
kill charly
await 1m alice,bob see charly dead
measure detection
measure detection traffic since bob is dead
measure detection since 'bob is back'
mark the end
measure detection since the end
`)
	if res.Verdict != observe.Pass {
		t.Fatalf("%s: %s\n%s", res.Verdict, res.Reason, res.Story)
	}
	again := sameAgain(t, &res.Record)
	for name, measures := range map[string][]observe.Measured{"in the run": res.Record.Measures, "again": again.Measures} {
		var counts []int
		var since []string
		for _, m := range measures {
			if m.Name != "detection" {
				continue
			}
			counts = append(counts, len(m.Figure("kill all").Values))
			since = append(since, m.Since)
		}
		if want := []int{2, 1, 1, 0}; !slices.Equal(counts, want) {
			t.Errorf("%s: %v failures, not %v", name, counts, want)
		}
		if want := []string{"", "bob is dead", "bob is back", "the end"}; !slices.Equal(since, want) {
			t.Errorf("%s: since %q, not %q", name, since, want)
		}
	}
}

func TestMeasureSinceWhatIsNotThere(t *testing.T) {
	for text, want := range map[string]string{
		"measure detection since\n":                           "want the text of a mark",
		"mark the heal\nmeasure detection since 'the hael'\n": "did you mean the heal?",
		"mark x\nmeasure since x\n":                           `there is no measure "since"`,
		"measure detection since x\nmark x\n":                 "no line above has a mark",
		"await 1s all answer members\n":                       "want a line and what its output is to match",
		"await 1s all answer membrs with x\n":                 "did you mean members",
		"await 1s all answer members with 'x('\n":             "no regular expression",
	} {
		if got := lint(t, three+text); !strings.Contains(got, want) {
			t.Errorf("%q: %s, not %q", text, got, want)
		}
	}
}
