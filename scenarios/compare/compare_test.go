package compare

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/observe/theory"
	"peerlab/scenarios"
	"peerlab/testbed"
)

// crash is a run in which the others hold erin dead so long after its kill.
func crash(after time.Duration, v observe.Verdict, chat observe.Verdict) *scenarios.Done {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	peers := []string{"alice", "bob", "erin"}
	var events []event.Event
	add := func(at time.Duration, peer string, kind event.Kind, member string) {
		events = append(events, event.Event{Time: began.Add(at), Peer: peer, Kind: kind, Member: member, Seq: uint64(len(events) + 1)})
	}
	for _, p := range peers {
		add(0, testbed.Lab, testbed.LabStart, p)
		add(0, p, event.PeerStarted, "")
	}
	for _, p := range peers {
		for _, other := range peers {
			add(time.Second, p, event.MemberJoin, other)
		}
		add(time.Second, p, event.PeerReady, "")
	}
	add(10*time.Second, testbed.Lab, testbed.LabKill, "erin")
	for _, p := range peers[:2] {
		add(10*time.Second+after, p, event.MemberDead, "erin")
	}
	return &scenarios.Done{Name: "crash", Number: 1, Result: &scenarios.Result{Record: observe.Record{
		Scenario: "crash", Verdict: v, Events: events, Began: began, Ended: began.Add(time.Minute),
		Model: theory.Model{
			Nodes: 3, ProbeInterval: time.Second, IndirectChecks: 1, AwarenessMaxMultiplier: 8, SuspicionMult: 3, SuspicionMaxTimeoutMult: 6,
			RetransmitMult: 2, GossipInterval: 100 * time.Millisecond, GossipNodes: 3, GossipToTheDeadTime: 15 * time.Second, PushPullInterval: 15 * time.Second,
		},
		Checks: []observe.Checked{{Name: "chat", Verdict: chat}},
	}}}
}

// saved is a run as a batch gives it back: its events are in its directory.
func saved(t *testing.T, d *scenarios.Done) []*scenarios.Done {
	t.Helper()
	if d == nil {
		return nil
	}
	d.Dir = t.TempDir()
	if err := d.Save(d.Dir); err != nil {
		t.Fatal(err)
	}
	d.Events = nil
	return []*scenarios.Done{d}
}

func TestSkippedIsNotCompared(t *testing.T) {
	skipped := crash(0, observe.Inconclusive, "")
	skipped.Cause, skipped.Reason = observe.CauseSkipped, "skipped: this host cannot delay packets"
	rows, err := Rows(saved(t, crash(5*time.Second, observe.Pass, "")), saved(t, skipped))
	if err != nil || len(rows) != 1 || len(rows[0].Differs) > 0 || rows[0].Skipped != skipped.Reason {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestRows(t *testing.T) {
	const s = time.Second
	for name, test := range map[string]struct {
		sim, docker *scenarios.Done
		want        string // "" if they agree
	}{
		"the same":            {crash(5*s, "pass", "pass"), crash(6*s, "pass", "pass"), ""},
		"late on containers":  {crash(5*s, "pass", "pass"), crash(9*s, "pass", "pass"), ""},
		"too late":            {crash(5*s, "pass", "pass"), crash(12*s, "pass", "pass"), "detection kill first"},
		"too late in sim":     {crash(9500*time.Millisecond, "pass", "pass"), crash(5*s, "pass", "pass"), "detection kill first"},
		"too early":           {crash(5*s, "pass", "pass"), crash(s, "pass", "pass"), "is not within"},
		"another verdict":     {crash(5*s, "pass", "pass"), crash(5*s, "fail", "pass"), "verdict: pass and fail"},
		"a check that fails":  {crash(5*s, "fail", "pass"), crash(5*s, "fail", "fail"), "check chat: pass and fail"},
		"could not be told":   {crash(5*s, "pass", "pass"), crash(5*s, "inconclusive", "pass"), "verdict: pass and inconclusive"},
		"not run on one side": {crash(5*s, "pass", "pass"), nil, "verdict: pass and inconclusive"},
	} {
		t.Run(name, func(t *testing.T) {
			sim, docker := saved(t, test.sim), saved(t, test.docker)
			rows, err := Rows(sim, docker)
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) != 1 || len(rows[0].Figures) == 0 {
				t.Fatalf("rows: %+v", rows)
			}
			got := strings.Join(rows[0].Differs, "; ")
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("differs: %q, want %q", got, test.want)
			}
		})
	}
}

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "engines.md")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("# Engines\n" + begin + "\nold\n" + end + "\nafter\n")
	for range 2 {
		if err := Replace(path, "| new |\n"); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "# Engines\n"+begin+"\n\n| new |\n\n"+end+"\nafter\n" {
		t.Errorf("%q %v", text, err)
	}
	// A reader never sees a part, and a link stays one.
	link := filepath.Join(filepath.Dir(path), "link.md")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Replace(link, "| newer |\n"); err != nil {
		t.Fatal(err)
	}
	after, err := os.Lstat(path)
	if err != nil || after.Mode() != 0o644 || os.SameFile(before, after) {
		t.Errorf("mode %v, written in place: %v, %v", after.Mode(), os.SameFile(before, after), err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link is a %v, %v", info.Mode(), err)
	}
	write("# Engines\n")
	if err := Replace(path, "x"); err == nil || !strings.Contains(err.Error(), "no place for the table") {
		t.Error(err)
	}
}

func TestKeysAreLowerCase(t *testing.T) {
	text, err := json.Marshal(Row{Figures: []Figure{{}}, Skipped: "no netem", Differs: []string{"verdict"}})
	want := `{"scenario":"","verdicts":["",""],"figures":[{"name":"","engines":[`
	if err != nil || !strings.HasPrefix(string(text), want) || strings.ContainsAny(string(text), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t.Errorf("%s %v", text, err)
	}
}

// A terminal and a page show the same.
func TestTables(t *testing.T) {
	rows := []Row{
		{Scenario: "crash", Verdicts: [2]observe.Verdict{"pass", "fail"}, Differs: []string{"verdict", "first"}, Figures: []Figure{
			{Name: "first", Judged: true, Band: &observe.Band{Least: 1, Most: 2}, Engines: [2]observe.Summary{observe.Summarize([]float64{1}), observe.Summarize(nil)}},
			{Name: "all"},
		}},
		{Scenario: "loss", Verdicts: [2]observe.Verdict{"pass", "inconclusive"}, Skipped: "no netem"},
		{Scenario: "quiet", Verdicts: [2]observe.Verdict{"pass", "pass"}},
	}
	var page, table strings.Builder
	if err := errors.Join(Markdown(&page, [2]string{"sim", "docker"}, rows), Table(&table, [2]string{"sim", "docker"}, rows)); err != nil {
		t.Fatal(err)
	}
	want := `| scenario | sim | docker | latency | theory | sim | docker | same |
|---|---|---|---|---|---|---|---|
| crash | pass | fail | first | 1.0 to 2.0 s | 1.00 s | - | **no**: verdict; first |
| | | | all (shown only) | | - | - | |
| loss | pass | inconclusive | | | | | no netem |
| quiet | pass | pass | | | | | yes |
`
	if page.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &page, want)
	}
	for _, part := range []string{"SCENARIO", "first ", "no: verdict; first\n", "all (shown only) ", "no netem\n", "yes\n"} {
		if !strings.Contains(table.String(), part) {
			t.Errorf("no %q in\n%s", part, &table)
		}
	}
}
