package sweep

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/peer"
	"peerlab/scenarios"
	"peerlab/testbed"
	"peerlab/testbed/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseAxis(t *testing.T) {
	for text, want := range map[string]string{
		"SuspicionMult=2..6":  "2 3 4 5 6",
		"loss=0,10,30%":       "0% 10% 30%",
		"loss=0%,10,30%":      "0% 10% 30%",
		"ProbeInterval=1..3s": "1s 2s 3s",
		"loss=0..30..10%":     "0% 10% 20% 30%",
		"profile=lan,wan":     "lan wan",
		"rejoin=0,5s":         "0s 5s",
		"d=0.5,1.5s":          "0.5s 1.5s",
		"set=50ms":            "50ms",
		// The last number that there is: one more would be the first again.
		"x=9223372036854775806..9223372036854775807":     "9223372036854775806 9223372036854775807",
		"x=9223372036854775800..9223372036854775807..5":  "9223372036854775800 9223372036854775805",
		"x=-9223372036854775808..-9223372036854775807":   "-9223372036854775808 -9223372036854775807",
		"x=9223372036854775807..9223372036854775807..99": "9223372036854775807",
	} {
		a, err := ParseAxis(text)
		if got := strings.Join(a.Values, " "); err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "=1", "x=", "x=1,,2", "x=1,1", "x=6..2", "x=1..5..0", "x=1..100000", "1x=2", "x=99999999999999999999..2", "x=-9223372036854775808..9223372036854775807", "x=-9223372036854775808..9223372036854775807..9000000000000000"} {
		if a, err := ParseAxis(text); err == nil {
			t.Errorf("%q: %v, want an error", text, a)
		}
	}
}

func FuzzParseAxis(f *testing.F) {
	for _, text := range []string{"SuspicionMult=2..6", "loss=0,10,30%", "a=1..9..2s", "b=-3..3", "c=é..é"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAxis(text)
		if err == nil && (a.Name == "" || len(a.Values) == 0 || slices.Contains(a.Values, "")) {
			t.Errorf("%q: %+v", text, a)
		}
	})
}

const crash = `set LOSS=0%
cluster 3 SuspicionMult=9 rejoin=1s
start
await 30s all see 3 alive
link alice <-> bob loss=$LOSS
kill charly
await $DETECT_ALL*3 alice,bob see charly dead
measure detection
`

func newSweep(t *testing.T, axes ...string) *Sweep {
	t.Helper()
	sc, err := scenarios.Parse("crash.txt", crash)
	if err != nil {
		t.Fatal(err)
	}
	s := &Sweep{
		Batch:    scenarios.Batch{Host: sim.Run, Engine: "sim", Repeat: 2, Seed: 1, Dir: t.TempDir()},
		Scenario: sc, Workers: 2,
	}
	for _, text := range axes {
		a, err := ParseAxis(text)
		if err != nil {
			t.Fatal(err)
		}
		s.Axes = append(s.Axes, a)
	}
	return s
}

// A field of memberlist takes the place of the cluster line's, a variable is
// set, and a setting added; the CSV has a row for each run.
func TestSweep(t *testing.T) {
	s := newSweep(t, "SuspicionMult=2,8", "loss=0,5%", "rejoin=0,2s")
	if runs, err := s.Check(t.Context()); err != nil || runs != 16 {
		t.Fatalf("%d runs, %v", runs, err)
	}
	told := 0
	s.Told = func(Run) { told++ }
	runs, err := s.Run(t.Context())
	if err != nil || len(runs) != 16 || told != 16 {
		t.Fatalf("%d runs, told of %d: %v", len(runs), told, err)
	}
	detected := map[string][]float64{}
	for _, r := range runs {
		if r.Verdict != observe.Pass {
			t.Errorf("%v: %s", r.Values, r.Reason)
		}
		if got := r.Settings["set"]; got != "SuspicionMult="+r.Values[0] {
			t.Errorf("%v ran with %s", r.Values, got)
		}
		if got := r.Settings["rejoin"]; got != r.Values[2] {
			t.Errorf("%v ran with rejoin=%s", r.Values, got)
		}
		record, err := observe.Load(r.Dir)
		if err != nil {
			t.Fatal(err)
		}
		lossy := slices.ContainsFunc(record.Events, func(e event.Event) bool { return strings.Contains(e.Text, "loss=5%") && e.Kind == "lab.link" })
		if lossy != (r.Values[1] == "5%") {
			t.Errorf("%v: lossy is %v", r.Values, lossy)
		}
		detected[r.Values[0]] = append(detected[r.Values[0]], r.values(figure{"detection", "kill first", "s"})...)
	}
	if a, b := observe.Summarize(detected["2"]).Mean, observe.Summarize(detected["8"]).Mean; !(a > 0 && b > a+4) {
		t.Errorf("SuspicionMult 2 detects after %.1f s, 8 after %.1f s: want six probe intervals more", a, b)
	}
	var text, table bytes.Buffer
	if err := CSV(&text, s.Axes, runs); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&text).ReadAll()
	if err != nil || len(rows) != 17 || rows[0][0] != "SuspicionMult" || !slices.Contains(rows[0], "detection kill first [s]") {
		t.Errorf("%d rows, %v: %v", len(rows), rows[0], err)
	}
	if err := Table(&table, s.Axes, runs); err != nil || strings.Count(table.String(), "2/2") != 8 {
		t.Errorf("%v\n%s", err, table.String())
	}

	// The same again finds it all, and a third run of each is added to it.
	s.Repeat = 3
	runs, err = s.Run(t.Context())
	earlier := 0
	for _, r := range runs {
		if r.Earlier {
			earlier++
		}
	}
	if err != nil || len(runs) != 24 || earlier != 16 {
		t.Errorf("%d runs of which %d were there: %v", len(runs), earlier, err)
	}
}

func TestSweepInterrupted(t *testing.T) {
	s := newSweep(t, "SuspicionMult=2..9")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.Told = func(Run) { cancel() }
	runs, err := s.Run(ctx)
	if err == nil || len(runs) == 0 || len(runs) == 16 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	s.Told = nil
	if runs, err = s.Run(t.Context()); err != nil || len(runs) != 16 {
		t.Errorf("then %d runs, %v", len(runs), err)
	}
}

func TestSweepsThatCannotBe(t *testing.T) {
	for want, axes := range map[string][]string{
		"--vary lose: no line of the scenario uses $LOSE: write set LOSE=2 into it, and $LOSE where it belongs": {"lose=2"},
		"did you mean rejoin?":            {"rejon=2"},
		"nothing varies":                  {},
		"varies twice":                    {"loss=1", "LOSS=2"},
		"did you mean SuspicionMult":      {"SuspicionMul=2"},
		"a peer has no setting":           {"lose=2"},
		"is not within 0 and 100":         {"loss=120%"},
		"more than 100000 runs":           {"SuspicionMult=1..900", "loss=1..90"},
		"with SuspicionMult=x: crash.txt": {"SuspicionMult=x"},
	} {
		if _, err := newSweep(t, axes...).Check(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", axes, err, want)
		}
	}
}

// A variable that the scenario sets and no line uses cannot vary.
func TestSweepOfAnUnusedVariable(t *testing.T) {
	s := newSweep(t, "x=1..3")
	var err error
	if s.Scenario, err = scenarios.Parse("unused.txt", "set X=1\ncluster 2\nstart\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "the scenario sets X, but no line uses $X") {
		t.Error(err)
	}
}

// junit.xml has all combinations, each run under a name of its own.
func TestSweepJUnit(t *testing.T) {
	s := newSweep(t, "SuspicionMult=2,3")
	if _, err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(s.Dir, "junit.xml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"SuspicionMult=2 #1", "SuspicionMult=2 #2", "SuspicionMult=3 #1", "SuspicionMult=3 #2"} {
		if strings.Count(string(text), `<testcase name="crash `+name+`"`) != 1 {
			t.Errorf("no test case %s:\n%s", name, text)
		}
	}
}

// TestBlocked: combinations in which the simulation cannot go on are told from
// the others, with the line and who waits where, and the others run.
func TestBlocked(t *testing.T) {
	s := newSweep(t, "SuspicionMult=2,3")
	var gate sync.Mutex
	gate.Lock()
	begun, ended := 0, make(chan bool, 10)
	defer func() {
		gate.Unlock()
		for range begun {
			<-ended // what was left behind
		}
	}()
	s.Repeat, s.Workers = 1, 1
	s.Host = func(ctx context.Context, seed uint64, do func(context.Context, testbed.Factory) error) error {
		begun++
		return sim.RunChanged(ctx, seed, func(c *peer.Config) {
			observe, blocks := c.Observe, slices.Contains(c.Set, "SuspicionMult=3")
			c.Observe = func(e event.Event) {
				if blocks && e.Kind == event.MemberDead {
					gate.Lock()
					defer gate.Unlock()
				}
				observe(e)
			}
		}, func(ctx context.Context, f testbed.Factory) error {
			defer func() { ended <- true }()
			return do(ctx, f)
		})
	}
	runs, err := s.Run(t.Context())
	if err != nil || len(runs) != 2 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	if runs[0].Verdict != observe.Pass {
		t.Errorf("%v: %s", runs[0].Values, runs[0].Reason)
	}
	r := runs[1]
	if r.Verdict != observe.Inconclusive || !strings.Contains(r.Reason, "deadlock") || !strings.Contains(r.Reason, "crash.txt:7: await") {
		t.Errorf("%v: %s: %s", r.Values, r.Verdict, r.Reason)
	}
	for _, part := range []string{"the driver: ", "alice: ", "sweep.TestBlocked", "for a lock"} {
		if !strings.Contains(r.Story, part) {
			t.Errorf("not said: %q, but\n%s", part, r.Story)
		}
	}
	if strings.Contains(r.Story, "synctest bubble") {
		t.Errorf("a dump:\n%s", r.Story)
	}
	var table bytes.Buffer
	if err := Table(&table, s.Axes, runs); err != nil || !strings.Contains(table.String(), "0/0") && !strings.Contains(table.String(), "0/1") {
		t.Errorf("%v\n%s", err, table.String())
	}
}

// A key that varies is shown and kept by its fingerprint.
func TestSweepOfKeysHoldsNone(t *testing.T) {
	const key, fingerprint = "MDEyMzQ1Njc4OWFiY2RlZg==", "9f9f5111"
	s := newSweep(t, "key="+key+",ZmVkY2JhOTg3NjU0MzIxMA==")
	var err error
	if s.Scenario, err = scenarios.Parse("keys.txt", "cluster 1\nset KEY=none\nstart\nawait 1m all see 1 alive\nalice keys install $KEY\n"); err != nil {
		t.Fatal(err)
	}
	runs, err := s.Run(t.Context())
	if err != nil || len(runs) != 4 || runs[0].Verdict != observe.Pass {
		t.Fatalf("%+v, %v", runs, err)
	}
	var table, csv strings.Builder
	if err := errors.Join(Table(&table, s.Axes, runs), CSV(&csv, s.Axes, runs)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"table": table.String(), "csv": csv.String()} {
		if strings.Contains(text, key) || !strings.Contains(text, fingerprint) {
			t.Errorf("the %s:\n%s", name, text)
		}
	}
}
