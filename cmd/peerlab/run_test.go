package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peerlab/scenarios"
)

// write makes a file in a new directory.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRunExitsWithTheVerdict(t *testing.T) {
	const cluster = "# A title\nset SEEN=3\ncluster 3\nstart\nawait 2m all see 3 alive\n"
	for _, tc := range []struct {
		name   string
		text   string
		flags  []string
		status int
		out    string // in what is written to standard output
		errs   string // to standard error
	}{
		{"pass.txt", cluster, nil, 0, "pass      pass     ", "await 2m all see 3 alive"},
		{"fail.txt", cluster + "check all see $SEEN alive\n", []string{"--set", "SEEN=2"}, 1, "fail      fail     ", "fail.txt:6: check all see $SEEN alive"},
		{"skip.txt", cluster + "[sim] skip 'not here'\n", nil, 3, "inconclusive", "skipped: not here"},
		{"lint.txt", "cluster 3\nstrat\nkill dave\n", nil, 2, "", "lint.txt:2:1: there is no verb and no peer \"strat\": did you mean start?"},
		{"set.txt", cluster, []string{"--set", "SEEM=2"}, 2, "", "no such variable: did you mean SEEN?"},
		{"quiet.txt", cluster, []string{"--quiet"}, 0, "pass", ""},
		{"engine.txt", cluster, []string{"--engine", "moon"}, 2, "", `--engine "moon": one of docker, sim`},
		{"repeat.txt", cluster, []string{"--repeat", "0"}, 2, "", "--repeat must be 1 to 100000, not 0"},
		{"arm.txt", cluster, []string{"--arm", "x"}, 2, "", `there is no arm "x"`},
		{"ok.cmd", "alice init\nalice members\n", nil, 0, "members                                                      OK", ""},
		{"bad.cmd", "alice init\nalice nonsense\n", nil, 1, "FAILED: unknown command", ""},
		{"wrong.cmd", "alice\n", nil, 2, "", "wrong.cmd:1:1: want the name of a peer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vars := map[string]string{"XDG_STATE_HOME": t.TempDir()}
			args := append([]string{"run", write(t, tc.name, tc.text), "--engine", "sim"}, tc.flags...)
			status, out, errs := call(vars, args...)
			if status != tc.status || !strings.Contains(out, tc.out) || !strings.Contains(errs, tc.errs) {
				t.Errorf("status %d, want %d\n%s\n%s", status, tc.status, out, errs)
			}
			if tc.errs == "" && errs != "" {
				t.Errorf("to standard error: %s", errs)
			}
		})
	}
	if status, _, errs := call(nil, "run", "/nonexistent/x.txt", "gallery/crahs", "--engine", "sim"); status != 2 ||
		!strings.Contains(errs, "there is no file") || !strings.Contains(errs, "did you mean crash") {
		t.Errorf("%d: %s", status, errs)
	}
	if status, _, errs := call(nil, "run"); status != 2 || !strings.Contains(errs, "run needs a file") {
		t.Errorf("%d: %s", status, errs)
	}
}

func TestRepeatAndCheck(t *testing.T) {
	file := write(t, "crash.txt", "cluster 3 RetransmitMult=8\nstart\nawait 2m all see 3 alive\nkill bob\nawait 1m all see bob dead\nmeasure detection\ncheck membership\n")
	dir := t.TempDir()
	if status, out, errs := call(nil, "run", file, "--engine", "sim", "--out", dir, "--repeat", "2", "--format", "json"); status != 0 || !json.Valid([]byte(out)) {
		t.Fatalf("%d\n%s\n%s", status, out, errs)
	}
	status, out, errs := call(nil, "run", file, "--engine", "sim", "--out", dir, "--repeat", "4")
	if status != 0 || strings.Count(errs, "found in") != 2 || !strings.Contains(out, "4 of 4 pass") || !strings.Contains(out, " (median)") || !strings.Contains(out, "95 % of the mean") {
		t.Errorf("%d\n%s\n%s", status, out, errs)
	}
	status, out, errs = call(nil, "check", dir)
	if status != 0 || strings.Count(out, "  line 5: pass: await 1m all see bob dead\n") != 4 || !strings.Contains(out, "detection kill first") || strings.Contains(out, "chat") {
		t.Errorf("%d\n%s\n%s", status, out, errs)
	}
	// Nobody chatted, which only matters to who asks.
	if status, out, _ := call(nil, "check", dir, "chat"); status != 3 || !strings.Contains(out, "check chat: inconclusive") {
		t.Errorf("%d\n%s", status, out)
	}
	// What is changed does not pass.
	results, err := filepath.Glob(filepath.Join(dir, "*", "002", "events.jsonl"))
	if err != nil || len(results) != 1 {
		t.Fatal(results, err)
	}
	events, err := os.ReadFile(results[0])
	if err == nil {
		err = os.WriteFile(results[0], bytes.ReplaceAll(events, []byte(`"member.dead"`), []byte(`"member.suspect"`)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if status, out, _ := call(nil, "check", dir); status != 1 || !strings.Contains(out, ": fail (it was pass): line 5: await 1m all see bob dead: not within 1m") {
		t.Errorf("%d\n%s", status, out)
	}
	// What is damaged is no run, and an empty directory holds none.
	results, err = filepath.Glob(filepath.Join(dir, "*", "001", "events.jsonl"))
	if err != nil || len(results) != 1 {
		t.Fatal(results, err)
	}
	if err := os.Truncate(results[0], 100); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := call(nil, "check", dir); status != 3 || !strings.Contains(errs, "events.jsonl") {
		t.Errorf("%d: %s", status, errs)
	}
	if status, _, errs := call(nil, "check", t.TempDir()); status != 2 || !strings.Contains(errs, "holds no saved run") {
		t.Errorf("%d: %s", status, errs)
	}
}

func TestGalleryCommand(t *testing.T) {
	status, out, _ := call(nil, "gallery")
	all, err := scenarios.Gallery()
	if err != nil || status != 0 || strings.Count(out, "\n") != len(all) {
		t.Errorf("%d, %v\n%s", status, err, out)
	}
	for _, s := range all {
		if s.Title == "" || !strings.Contains(out, "gallery/"+s.Name+" ") {
			t.Errorf("%s: title %q", s.Name, s.Title)
		}
	}
	if status, out, _ := call(nil, "gallery", "gallery/crash"); status != 0 || !strings.Contains(out, "kill erin") {
		t.Errorf("%d: %s", status, out)
	}
	if status, _, errs := call(nil, "gallery", "moon"); status != 2 || !strings.Contains(errs, "no scenario gallery/moon") {
		t.Errorf("%d: %s", status, errs)
	}
	if status, out, _ := call(nil, "run", "--help-verbs"); status != 0 || out != scenarios.Reference() {
		t.Errorf("%d: %s", status, out)
	}
}

// TestTestFilesRefuseFlagsOfScenarios gives a test file flags that nothing would
// read.
func TestTestFilesRefuseFlagsOfScenarios(t *testing.T) {
	file := write(t, "a.cmd", "alice init\n")
	for _, flag := range []string{"--repeat=20", "--set=LOSS=1%", "--arm=x", "--out=" + t.TempDir(), "--seed=2", "--parallel=2"} {
		if status, out, errs := call(nil, "run", file, "--engine", "sim", flag); status != 2 || out != "" || !strings.Contains(errs, "is for scenarios") {
			t.Errorf("%s: %d %q %q", flag, status, out, errs)
		}
	}
}

// TestClusterOfNoUse names a cluster to commands that look at none: what somebody
// wants is not what they would do.
func TestClusterOfNoUse(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
	vars := map[string]string{"PEERLAB_CLUSTER": "big", "XDG_STATE_HOME": t.TempDir()}
	for words, want := range map[string]string{
		"run --engine sim gallery/crash": "run takes no --cluster: experiments run on new clusters",
		"runs prune --keep 0":            "runs prune takes no --cluster",
		"clean":                          "clean takes no --cluster: it is for all of this machine",
	} {
		args := append(strings.Fields(words), "--cluster", "big")
		if status, out, errs := call(vars, args...); status != 2 || out != "" || !strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: %d %q %q, want 2 %q", args, status, out, errs, want)
		}
	}
	if status, _, errs := call(vars, "runs"); status != 0 { // the variable is for those that do
		t.Errorf("%d %s", status, errs)
	}
}
