package observe

import (
	"math"
	"strings"
	"testing"

	"peerlab/event"
	"peerlab/observe/theory"
	"peerlab/testbed"
)

func TestMeasureShowsTheoryAndMeasurement(t *testing.T) {
	r := &Record{Model: lan(3), Events: with(cluster("a", "b", "c"),
		lab(10, testbed.LabKill, "c"), says(15.9, "a", event.MemberDead, "c"), says(20, "b", event.MemberDead, "c"))}
	m, err := Measure(r, "detection")
	if err != nil {
		t.Fatal(err)
	}
	want := `detection kill first  5.9 s, expected 5.67 s (5 to 9 s)  ················──|*──────────··  within
detection kill all    10 s, expected 5.9 s (5 to 9.23 s)  ··············───|─────────··*··  outside
`
	if got := m.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	r.Model = theory.Model{}
	if m, _ := Measure(r, "detection"); m.Figure("kill first").Expected != nil {
		t.Errorf("something is expected of no model: %+v", m)
	}
}

func TestMeasures(t *testing.T) {
	split := with(cluster("a", "b", "c"), links(10, "a,b -> c drop=all"),
		says(16, "a", event.MemberDead, "c"), says(17, "b", event.MemberDead, "c"), says(17, "c", event.MemberDead, "a"),
		says(18, "c", event.MemberDead, "b"), links(20, ""), says(24, "c", event.MemberJoin, "a"), says(24, "c", event.MemberJoin, "b"),
		says(24, "a", event.MemberJoin, "c"), says(25, "b", event.MemberJoin, "c"), says(60, "a", event.MemberDead, "b"))
	chat := with(inChat("a", "b", "c"), sent(10, "a", "a/7/1"), delivered(10.5, "b", "a/7/1"))
	// What a measure tells, in figures and notes, of a history and of one that differs.
	tests := []struct {
		measure, figure string
		events, other   []event.Event
		want, differs   []float64
	}{
		{"detection", "cut all", split, split[:len(split)-10], []float64{7}, nil},
		{"isolation", "last", split, split[:len(split)-8], []float64{8}, nil},
		{"fp", "FP", split, split[:len(split)-1], []float64{1}, []float64{0}},
		{"fp", "FP⁻", split, split[:len(split)-1], []float64{1}, []float64{0}},
		{"fp", "of impaired", split, split[:len(split)-8], []float64{4}, []float64{2}},
		{"heal", "whole after heal", split, split[:len(split)-2], []float64{5}, nil},
		{"heal", "not settled after heal", split, split[:len(split)-1], []float64{1}, []float64{0}},
		{"chat", "delivered", chat, with(chat, delivered(11, "c", "a/7/1")), []float64{50}, []float64{100}},
		{"chat", "latency p100", chat, chat[:len(chat)-1], []float64{0.5}, nil},
	}
	for _, test := range tests {
		t.Run(test.measure+" "+test.figure, func(t *testing.T) {
			for events, want := range map[*[]event.Event][]float64{&test.events: test.want, &test.other: test.differs} {
				m, err := Measure(&Record{Events: *events, Model: lan(3)}, test.measure)
				if err != nil {
					t.Fatal(err)
				}
				got := m.Figure(test.figure).Values
				same := len(got) == len(want)
				for i := range want {
					same = same && math.Abs(got[i]-want[i]) < 0.001*want[i]+1e-9
				}
				if !same {
					t.Errorf("%v, want %v of\n%s", got, want, m)
				}
			}
		})
	}
}

func TestNamesAreKnown(t *testing.T) {
	if _, err := Measure(&Record{}, "speed"); err == nil || !strings.Contains(err.Error(), `no measure "speed": there are detection, isolation, fp`) {
		t.Errorf("error %v", err)
	}
	if _, err := Check(&Record{}, "luck"); err == nil || !strings.Contains(err.Error(), `no check "luck": there are chat, membership`) {
		t.Errorf("error %v", err)
	}
	for _, h := range append(Measures(), Checks()...) {
		if h.Text == "" || strings.ContainsAny(h.Name, " \t") {
			t.Errorf("%q has the help %q", h.Name, h.Text)
		}
	}
	// Of a history in which nothing happened each measure says so.
	for _, h := range Measures() {
		if m, err := Measure(&Record{}, h.Name); err != nil || m.String() == "" {
			t.Errorf("%s: %q, %v", h.Name, m, err)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0 s", 5: "5 s", 5.804: "5.8 s", 12.345: "12.3 s", 123.4: "123 s", 0.01234: "0.0123 s", 0.0000123: "0.00001 s", -1.5: "-1.5 s", 1e6: "1000000 s"} {
		if got := number(v, "s"); got != want {
			t.Errorf("number(%g) = %q, want %q", v, got, want)
		}
	}
}

func TestSummarize(t *testing.T) {
	values := []float64{10, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	s := Summarize(values)
	if s.N != 10 || s.Mean != 5.5 || s.Median != 5.5 || s.Min != 1 || s.Max != 10 || math.Abs(s.P10-1.9) > 1e-9 || math.Abs(s.P90-9.1) > 1e-9 {
		t.Errorf("%+v", s)
	}
	// The mean of ten uniform digits has a standard error of 0.908, hence an
	// interval of about 5.5 ± 1.78.
	if math.Abs(s.MeanLow-3.72) > 0.15 || math.Abs(s.MeanHigh-7.28) > 0.15 {
		t.Errorf("interval %g to %g", s.MeanLow, s.MeanHigh)
	}
	if again := Summarize(values); again != s {
		t.Errorf("%+v, then %+v", s, again)
	}
	if values[0] != 10 {
		t.Error("the caller's values are sorted")
	}
	if s := Summarize([]float64{3}); s.MeanLow != 3 || s.MeanHigh != 3 || s.P99 != 3 {
		t.Errorf("%+v", s)
	}
	if Summarize(nil) != (Summary{}) {
		t.Error("no values are something")
	}
}

// BenchmarkMeasure measures a run of 1,000 peers who all meet, of which one is
// killed and seen to be: a million events.
func BenchmarkMeasure(b *testing.B) {
	names := testbed.Names(testbed.MaxPeers)
	r := &Record{Model: lan(len(names)), Events: with(cluster(names...), lab(10, testbed.LabKill, "bob"))}
	for _, observer := range names {
		r.Events = append(r.Events, says(20, observer, event.MemberDead, "bob"))
	}
	for _, h := range Measures() {
		b.Run(h.Name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Measure(r, h.Name); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
