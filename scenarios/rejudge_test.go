package scenarios

import (
	"slices"
	"strings"
	"testing"

	"peerlab/event"
	"peerlab/observe"
)

// sameAgain fails unless a run, saved and judged again, comes to what it came to.
func sameAgain(t *testing.T, r *observe.Record) *Again {
	t.Helper()
	dir := t.TempDir()
	if err := r.Save(dir); err != nil {
		t.Fatal(err)
	}
	saved, err := observe.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := JudgeAgain(saved)
	if err != nil {
		t.Fatal(err)
	}
	if again.Verdict != r.Verdict || again.Reason != r.Reason || again.Note != "" || len(again.Lines) != len(r.Asked) {
		t.Errorf("judged again: %s: %s %s, %d lines; it was %s: %s, %d lines", again.Verdict, again.Reason, again.Note, len(again.Lines), r.Verdict, r.Reason, len(r.Asked))
	}
	for i, l := range again.Lines {
		if l.Verdict != r.Asked[i].Verdict {
			t.Errorf("line %d, %s: %s (%s), was %s (%s)", l.Line, l.Text, l.Verdict, l.Found, r.Asked[i].Verdict, r.Asked[i].Found)
		}
	}
	return again
}

// TestJudgeAgain changes what happened, after the run.
func TestJudgeAgain(t *testing.T) {
	res := play(t, three+`kill bob
await $DETECT_MAX*2 alice,charly see bob dead
check events member.dead>=1 about bob
hold 5s alice sees bob gone
! await 1s alice sees bob left
check membership
measure detection
`)
	if res.Verdict != observe.Pass {
		t.Fatal(res.Reason)
	}
	// Nobody chatted: what nobody asked for does not count.
	if again := sameAgain(t, &res.Record); len(again.Checks) != 1 || len(again.Measures) != 1 || len(again.Lines) != 7 {
		t.Errorf("%d checks, %d measures, %d lines", len(again.Checks), len(again.Measures), len(again.Lines))
	}
	judge := func(change func(r *observe.Record), names ...string) *Again {
		r := res.Record
		r.Events, r.Asked = slices.Clone(r.Events), slices.Clone(r.Asked)
		change(&r)
		again, err := JudgeAgain(&r, names...)
		if err != nil {
			t.Fatal(err)
		}
		return again
	}
	all := func(from, to event.Kind) func(r *observe.Record) {
		return func(r *observe.Record) {
			for i, e := range r.Events {
				if e.Kind == from {
					r.Events[i].Kind = to
				}
			}
		}
	}
	for name, tc := range map[string]struct {
		again   *Again
		verdict observe.Verdict
		want    string // in the reason
		lines   []int  // that do not come true
	}{
		"never dead": {
			judge(all(event.MemberDead, event.MemberSuspect)), observe.Fail,
			"line 5: await $DETECT_MAX*2 alice,charly see bob dead: not within",
			[]int{5, 6, 7},
		},
		"left": {
			judge(all(event.MemberDead, event.MemberLeft)), observe.Fail,
			"line 5: await $DETECT_MAX*2 alice,charly see bob dead: not within",
			[]int{5, 6, 8},
		},
		"a broken promise": {judge(func(r *observe.Record) {
			i := slices.IndexFunc(r.Events, func(e event.Event) bool { return e.Kind == event.MemberSuspect })
			r.Events[i].Kind, r.Events[i].Member = event.MemberDead, r.Events[i].Peer
		}), observe.Fail, "line 9: check membership: check membership: fail", []int{9}},
		"chat by name":       {judge(func(*observe.Record) {}, "chat"), observe.Inconclusive, "check chat: inconclusive", nil},
		"membership by name": {judge(func(*observe.Record) {}, "membership", "fp"), observe.Pass, "", nil},
		"the run was spoilt": {judge(func(r *observe.Record) { r.Verdict, r.Reason = observe.Inconclusive, "busy" }), observe.Inconclusive, "busy", nil},
		"a command failed":   {judge(func(r *observe.Record) { r.Verdict, r.Reason = observe.Fail, "line 11: it did" }), observe.Fail, "line 11: it did", nil},
		"it was thought dead": {judge(func(r *observe.Record) {
			r.Verdict, r.Asked = observe.Fail, r.Asked[:2]
			r.Asked[1].Verdict = observe.Fail
		}), observe.Inconclusive, "line 5, with which the run ended, comes true now", nil},
		"a word of another version": {judge(func(r *observe.Record) {
			r.Asked[2].Words = []string{"check", "the", "moon"}
		}), observe.Inconclusive, "is no condition", []int{6}},
	} {
		if tc.again.Verdict != tc.verdict || !strings.Contains(tc.again.Reason, tc.want) {
			t.Errorf("%s: %s: %s", name, tc.again.Verdict, tc.again.Reason)
		}
		var lines []int
		for _, l := range tc.again.Lines {
			if l.Came() != observe.Pass {
				lines = append(lines, l.Line)
			}
		}
		if !slices.Equal(lines, tc.lines) {
			t.Errorf("%s: lines %v do not come true, want %v", name, lines, tc.lines)
		}
	}
	// A record from before the lines were kept.
	old := judge(func(r *observe.Record) { r.Asked = nil })
	if old.Verdict != observe.Pass || old.Note == "" || len(old.Checks) != 1 || len(old.Measures) != 1 {
		t.Errorf("an old record: %+v", old)
	}
	if _, err := JudgeAgain(&res.Record, "moon"); err == nil || !strings.Contains(err.Error(), `"moon"`) {
		t.Errorf("error %v", err)
	}
}
