package scenarios

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"peerlab/observe"
	"peerlab/testbed"
	"peerlab/testbed/sim"
)

// marks is a scenario of n lines that write a note.
func marks(n int) string { return "cluster 2 no-chat=true\n" + strings.Repeat("mark here\n", n) }

// compileAndRun checks a scenario and runs it, in virtual time.
func compileAndRun(t testing.TB, s *Scenario) *Result {
	t.Helper()
	var res *Result
	err := sim.Run(t.Context(), 1, func(ctx context.Context, f testbed.Factory) error {
		plans, err := s.Plans(ctx, f, "", nil)
		if err == nil {
			res = plans[0].Run(ctx, f, Options{})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// TestCostIsLinear: a scenario of four times as many lines costs four times as
// much. The bytes that are allocated stand for what is done.
func TestCostIsLinear(t *testing.T) {
	cost := func(n int) float64 {
		s, err := Parse("x.txt", marks(n))
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if res := compileAndRun(t, s); res.Verdict != observe.Pass {
			t.Fatal(res.Reason)
		}
		runtime.ReadMemStats(&after)
		return float64(after.TotalAlloc - before.TotalAlloc)
	}
	few, many := cost(1000), cost(4000)
	t.Logf("1,000 lines: %.1f MB, 4,000 lines: %.1f MB, %.1f times as much", few/1e6, many/1e6, many/few)
	if many > 5*few {
		t.Errorf("four times the lines cost %.1f times as much", many/few)
	}
}

// BenchmarkLines shows what a line of a scenario costs, checked and run.
func BenchmarkLines(b *testing.B) {
	for _, n := range []int{8_000, 32_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, err := Parse("x.txt", marks(n))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				compileAndRun(b, s)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/line")
		})
	}
}

// TestLinesAreReadOnce takes the lines away from a scenario that has been
// checked: a run needs nothing but the steps.
func TestLinesAreReadOnce(t *testing.T) {
	s, err := Parse("x.txt", "set WHO=bob\n"+three+"[sim] kill $WHO\n[!sim] kill alice\nawait $DETECT_MAX*2 alice,charly see $WHO dead\n! bob members\nalice members\nstdout bob\ncheck membership\n")
	if err != nil {
		t.Fatal(err)
	}
	err = sim.Run(t.Context(), 1, func(ctx context.Context, f testbed.Factory) error {
		plans, err := s.Plans(ctx, f, "", nil)
		if err != nil {
			return err
		}
		p := plans[0]
		if len(p.steps) != len(s.lines) {
			t.Errorf("%d steps for %d lines", len(p.steps), len(s.lines))
		}
		s.lines = nil
		res := p.Run(ctx, f, Options{})
		if res.Verdict != observe.Pass {
			t.Errorf("%s: %s\n%s", res.Verdict, res.Reason, res.Story)
		}
		if got := fmt.Sprint(res.Asked[len(res.Asked)-2].Words); got != "[await "+p.wordOf("DETECT_MAX")+"*2 alice,charly see bob dead]" {
			t.Errorf("it asked %s", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// wordOf is what a computed variable stands for.
func (p *Plan) wordOf(name string) string {
	for _, c := range computed() {
		if c.name == name {
			return c.value(p.model).String()
		}
	}
	return ""
}

// TestRunsOfOnePlan runs a plan in several simulations at the same time: no run
// counts what another one sees.
func TestRunsOfOnePlan(t *testing.T) {
	s, err := Parse("x.txt", three+"mark from here\nkill bob\nawait $DETECT_MAX*2 alice,charly see bob dead\nawait 5s events member.dead=2 about bob\n")
	if err != nil {
		t.Fatal(err)
	}
	b := &Batch{Host: sim.Run, Engine: "sim", Scenarios: []*Scenario{s}, Repeat: 4, Parallel: 4, Dir: t.TempDir()}
	plans, err := b.Plans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done, err := b.Run(t.Context(), plans)
	if err != nil || len(done) != 4 {
		t.Fatalf("%d runs: %v", len(done), err)
	}
	for _, d := range done {
		if d.Verdict != observe.Pass {
			t.Errorf("#%d: %s: %s", d.Number, d.Verdict, d.Reason)
		}
	}
}

// TestFailedLine says where a run failed: at the command, behind what is before
// it, and for a line in the background at that line and not where it was waited
// for.
func TestFailedLine(t *testing.T) {
	for _, tc := range []struct {
		name, text       string
		line, column     int
		failed, why      string
		verdict          observe.Verdict
		storyHasLocation string
	}{
		{"in the foreground", "[sim]  alice membership join 192.0.2.7:1\n", 4, 8, "[sim]  alice membership join 192.0.2.7:1", "alice", observe.Fail, "x.txt:4:8: "},
		{"! before what works", "! alice members\n", 4, 3, "! alice members", "it succeeded, and ! says that it must fail", observe.Fail, "x.txt:4:3: "},
		{"in the background, at join", "pause bob\nbob members &\nalice members\njoin\n", 5, 1, "bob members &", "bob is paused", observe.Fail, "x.txt:5:1: "},
		{"in the background, at the end", "pause bob\nbob members &\nalice members\n", 5, 1, "bob members &", "bob is paused", observe.Fail, "x.txt:5:1: "},
		{"two in the background", "pause bob\nbob members &\nalice members\nbob tags &\n", 5, 1, "bob members &", "line 7: bob tags &", observe.Fail, "x.txt:5:1: "},
		{"! in the background", "! alice members &\n", 4, 3, "! alice members &", "it succeeded", observe.Fail, "x.txt:4:3: "},
		{"while something runs in the background", "repeat 100 every=1s alice msg hello &\ncheck alice sees bob dead\n", 5, 1, "check alice sees bob dead", "alice sees bob alive", observe.Fail, "x.txt:5:1: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			res := play(t, three+tc.text)
			if res.Verdict != tc.verdict || res.Failed == nil {
				t.Fatalf("%s: %s", res.Verdict, res.Reason)
			}
			if f := res.Failed; f.Line != tc.line || f.Column != tc.column || f.Text != tc.failed || !strings.Contains(f.Why, tc.why) {
				t.Errorf("it failed at %d:%d: %s: %s", f.Line, f.Column, f.Text, f.Why)
			}
			if !strings.HasPrefix(res.Story, tc.storyHasLocation) {
				t.Errorf("the story begins with\n%s", res.Story)
			}
		})
	}
}

// TestOutputOfTheLineBefore says what stdout looks at.
func TestOutputOfTheLineBefore(t *testing.T) {
	for _, text := range []string{
		"alice members\nstdout charly\n",
		"alice members\nwait 1s\nmark here\nstdout charly\n",                // lines of the lab that write nothing
		"alice members\nalice msg hello\n! stdout charly\n",                 // a line that writes nothing
		"alice members\nbob members &\n! stdout charly\njoin\nstdout bob\n", // a line in the background
		"alice members\njoin\n! stdout charly\n",
		"alice members\n[!sim] bob msg hello\nstdout charly\n",
	} {
		if res := play(t, three+text); res.Verdict != observe.Pass {
			t.Errorf("%s%s: %s", text, res.Verdict, res.Reason)
		}
	}
}

// TestOneMistakeIsToldOnce: a line that is wrong does not make later ones
// complain of what it was to declare, and what else is wrong is told.
func TestOneMistakeIsToldOnce(t *testing.T) {
	const after = "peer bob rejoin=1s\nstart\nawait $DETECT_MAX*$N all see 3 alive\npartition alice,bob / rest\nalice members\nkill charly\ncheck chat\n"
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{"a setting of the cluster", "cluster 3 foo=1\n" + after, []string{`x.txt:1:11: a peer has no setting "foo"`}},
		{"a name of the cluster", "cluster alice Bob charly\n" + after, []string{`x.txt:1:15: "Bob" is no name`}},
		{"a variable of the cluster", "cluster $M\n" + after, []string{"x.txt:1:9: there is no variable $M"}},
		{"no cluster", after, []string{"x.txt:1:1: there is no cluster yet"}},
		{"a cluster that comes too late", "start\ncluster alice bob charly\nstart\nstrat\n", []string{"x.txt:1:1: there is no cluster yet", "x.txt:4:1: there is no verb and no peer"}},
		{"a second mistake", "cluster 3 foo=1\n" + after + "strat\n", []string{`x.txt:1:11: a peer has no setting "foo"`, `x.txt:9:1: there is no verb and no peer "strat"`}},
		{"an arm", "arm on R=5s 7\narm off R=0\ncluster alice bob rejoin=$R\nstart\n[arm:on] wait $R\n", []string{"x.txt:1:13: \"7\": want VAR=value"}},
		{"the only arm", "arm on R=5s 7\ncluster alice bob rejoin=$R\nstart\n[arm:on] wait $R\n", []string{"x.txt:1:13: \"7\": want VAR=value"}},
		{"a variable", "set n=1 M=3\ncluster $M\nstart\nawait 5s all see $M alive\n", []string{`x.txt:1:5: "n" is no name of a variable`}},
		{"a variable from a variable", "set A=$Z\nset B=$A\ncluster $B\nstart\n", []string{"x.txt:1:5: there is no variable $Z"}},
		{"a name of one peer", "cluster 4\npeer dave nmae=ghost\nstart\nawait 5s alice sees ghost alive\nawait 5s all see 5 alive\n", []string{`x.txt:2:11: a peer has no setting "nmae"`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := strings.Split(lint(t, tc.text), "\n")
			if len(got) != len(tc.want) {
				t.Fatalf("%d messages:\n%s", len(got), strings.Join(got, "\n"))
			}
			for i, want := range tc.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("%s, want %s", got[i], want)
				}
			}
		})
	}
}

// TestNoSuchArm names no arms where there are none.
func TestNoSuchArm(t *testing.T) {
	s, err := Parse("x.txt", "cluster 3\nstart\n")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Plans(t.Context(), nil, "foo", nil)
	if err == nil || err.Error() != `x.txt:1:1: there is no arm "foo": the scenario has no arms` {
		t.Error(err)
	}
}

// TestRestAsSubject: rest is everybody whom the line does not name, also where it
// comes first.
func TestRestAsSubject(t *testing.T) {
	for _, text := range []string{
		"kill charly\nawait $DETECT_MAX*2 rest see charly dead\n",
		"partition alice / bob,charly\nawait $DETECT_MAX*2 rest see alice dead\n",
		"partition alice / rest\nawait $DETECT_MAX*2 alice sees rest dead\ncheck alice sees exactly alice\nawait 1m bob,charly see exactly bob,charly\n! check rest see exactly bob,charly\n",
		"kill charly\nawait $DETECT_MAX*2 alice,bob see rest dead\nstart charly\nawait 1m rest see charly alive\ncheck events member.dead>=1 by rest about charly\n",
	} {
		if res := play(t, three+text); res.Verdict != observe.Pass {
			t.Errorf("%s%s: %s", text, res.Verdict, res.Reason)
		}
	}
}

// TestSubjectThatDoesNotRun: what a peer is to see that certainly does not run is
// refused before the run, and only that.
func TestSubjectThatDoesNotRun(t *testing.T) {
	const before = "cluster alice bob charly\n"
	for text, want := range map[string]string{
		"await 5s all see 3 alive\n":                                                         "x.txt:2:10: no peer runs at this line: this cannot come true",
		"start bob\nawait 5s alice sees 1 alive\n":                                           "x.txt:3:10: alice does not run at this line: this cannot come true",
		"start\nkill bob\nawait 5s bob sees alice dead\n":                                    "x.txt:4:10: bob does not run",
		"start\nstop bob,charly\nhold 5s rest see alice dead\n":                              "x.txt:4:9: bob, charly do not run",
		"start\nkill bob\ncheck rest see 2 alive\n":                                          "x.txt:4:7: bob does not run",
		"start\nkill bob\ncheck alice,bob have message x\n":                                  "x.txt:4:7: bob does not run",
		"start\nkill bob\ncheck health bob=0\n":                                              "x.txt:4:7: bob does not run",
		"start\nkill bob\n! check bob sees alice dead\n? check bob sees alice dead\n":        "",
		"start\nkill bob\ncheck not bob sees alice dead\nawait 5s rest see bob dead\n":       "",
		"start\nkill bob for=5s\ncheck bob sees alice alive\n":                               "",
		"start\n? kill bob\ncheck bob sees alice alive\n":                                    "",
		"start\nkill bob\nmove bob\ncheck bob sees alice alive\n":                            "",
		"start\nkill bob\n[sim] start bob\n[docker] start bob\ncheck bob sees alice alive\n": "",
		"start\nkill bob\ncheck all see 2 alive\n":                                           "",
		"peer charly name=bob\nstart\nkill bob\ncheck bob sees alice alive\n":                "",
		"start\ncheck rest see rest dead\n":                                                  "it cannot be on both",
		"start\ncheck events member.dead>=1 by rest about rest\n":                            "it cannot be on both",
		"start\ncheck events member.dead>=1 by rest about alice,bob,charly\n":                "rest is empty",
	} {
		got := lint(t, before+text)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s got %s\nwant %s", text, got, want)
		}
	}
}

// TestWhoDoesNotRunIsTheReason: of those who do not fulfill a condition the first
// to be told of is who does not run.
func TestWhoDoesNotRunIsTheReason(t *testing.T) {
	res := play(t, three+"? kill charly\nawait 90s all see charly dead\nawait 1s alice,bob,charly see charly alive\n")
	if res.Verdict != observe.Fail || !strings.Contains(res.Reason, "charly alive: charly does not run; alice sees charly dead") {
		t.Errorf("%s: %s", res.Verdict, res.Reason)
	}
}
