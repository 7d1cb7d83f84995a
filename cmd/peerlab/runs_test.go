package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

const tiny = "# Tiny\ncluster 2\nstart\nawait 1m all see 2 alive\n"

// Without --out, results are in one private directory, and nothing is left in
// the temporary one.
func TestResultsAreInOneDirectory(t *testing.T) {
	state, temp := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	vars := map[string]string{"HOME": state}
	runs := filepath.Join(state, ".local", "state", "peerlab", "runs")
	file := write(t, "tiny.txt", tiny)
	if status, out, errs := call(vars, "run", "--engine", "sim", file); status != 0 || !strings.Contains(out, "what happened is in "+runs) {
		t.Fatalf("%d %s %s", status, out, errs)
	}
	if status, out, errs := call(vars, "sweep", file, "--vary", "SuspicionMult=2,3"); status != 0 || !strings.Contains(out, runs) {
		t.Fatalf("%d %s %s", status, out, errs)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("in the temporary directory: %v, %v", left, err)
	}
	err := filepath.WalkDir(runs, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if want := map[bool]os.FileMode{true: 0o700, false: 0o600}[d.IsDir()]; err == nil && info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if d.Name() == lockFile {
			t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}

	var all []results
	status, out, _ := call(vars, "runs", "--format", "json")
	if err := json.Unmarshal([]byte(out), &all); err != nil || status != 0 || len(all) != 2 {
		t.Fatalf("%d %s %v", status, out, err)
	}
	if r := all[0]; r.Command != "run" || r.Runs != 1 || r.Passed != 1 || r.Verdict != "pass" || !slices.Equal(r.Scenario, []string{"tiny"}) || r.Bytes == 0 || time.Since(r.Began) > time.Hour {
		t.Errorf("%+v", r)
	}
	if r := all[1]; r.Command != "sweep" || r.Runs != 2 {
		t.Errorf("%+v", r)
	}
	if status, out, _ := call(vars, "runs"); status != 0 || !strings.Contains(out, all[0].ID+"    pass ") || strings.Count(out, "\n") != 4 {
		t.Errorf("%d\n%s", status, out)
	}
	for _, id := range []string{all[0].ID, "run-tiny", all[0].Dir} {
		if status, out, errs := call(vars, "check", id); status != 0 || !strings.Contains(out, "line 4: pass") {
			t.Errorf("check %s: %d %s%s", id, status, out, errs)
		}
	}
	if status, out, errs := call(vars, "__complete", "runs", "show", ""); status != 0 || !strings.Contains(out, all[1].ID) || !strings.Contains(out, "last\t") {
		t.Errorf("%d %s %s", status, out, errs)
	}
}

func TestRunsShow(t *testing.T) {
	vars := map[string]string{"XDG_STATE_HOME": t.TempDir()}
	file := write(t, "fails.txt", tiny+"check alice sees bob dead\n")
	if status, _, errs := call(vars, "run", "--quiet", "--engine", "sim", file); status != 1 {
		t.Fatalf("%d %s", status, errs)
	}
	for _, id := range []string{"last", "fails"} {
		status, out, errs := call(vars, "runs", "show", id)
		if status != 0 || !strings.Contains(out, "fails.txt:5:1: check alice sees bob dead") || !strings.Contains(out, "SCENARIO  VERDICT") {
			t.Errorf("%s: %d %s%s", id, status, out, errs)
		}
	}
	var runs []runJSON
	status, out, _ := call(vars, "runs", "show", "last", "--format", "json")
	if err := json.Unmarshal([]byte(out), &runs); err != nil || status != 0 || len(runs) != 1 || runs[0].Verdict != "fail" {
		t.Errorf("%d %s %v", status, out, err)
	}
}

// A command that was killed leaves a directory without a complete run.
func TestRunsShowUnfinished(t *testing.T) {
	state := t.TempDir()
	vars := map[string]string{"XDG_STATE_HOME": state}
	const id = "20200101-000000-run-cut"
	dir := filepath.Join(state, "peerlab", "runs", id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	show := func(want string) {
		t.Helper()
		if status, out, errs := call(vars, "runs", "show", "last"); status != 0 || !strings.Contains(out, id+want) || strings.Contains(out, "SCENARIO") {
			t.Errorf("%d %s%s", status, out, errs)
		}
	}
	show(" is unfinished: ")
	lock := flock.New(filepath.Join(dir, lockFile))
	if ok, err := lock.TryLock(); err != nil || !ok {
		t.Fatal(ok, err)
	}
	defer lock.Unlock()
	show(" is still running: ")
	if status, out, _ := call(vars, "runs", "show", "last", "--format", "json"); status != 0 || strings.TrimSpace(out) != "[]" {
		t.Errorf("%d %s", status, out)
	}
	if _, out, _ := call(vars, "runs", "prune", "--help"); strings.Contains(out, "default -1") {
		t.Error(out)
	}
}

func TestRunsPrune(t *testing.T) {
	state := t.TempDir()
	vars := map[string]string{"XDG_STATE_HOME": state}
	runs := filepath.Join(state, "peerlab", "runs")
	ids := []string{"20200101-000000-run-old", "20200102-000000-sweep-older", "20200103-000000-run-busy", time.Now().Format(idTime) + "-run-new"}
	for _, id := range append(ids, "not-ours") {
		if err := os.MkdirAll(filepath.Join(runs, id), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	lock := flock.New(filepath.Join(runs, ids[2], lockFile))
	if ok, err := lock.TryLock(); err != nil || !ok {
		t.Fatal(ok, err)
	}
	defer lock.Unlock()
	// What a command left that was killed is not locked any more.
	if err := os.WriteFile(filepath.Join(runs, ids[0], lockFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	left := func() (names []string) {
		entries, err := os.ReadDir(runs)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	for _, test := range []struct {
		args   string
		status int
		want   string
		left   int
	}{
		{"", 2, "prune needs IDs, --keep N or --older", 5},
		{"--older 1", 2, "not a number of days such as 30d", 5},
		{"--older -1h", 2, "not a number of days such as 30d", 5},
		{"--keep -1", 2, "must be 0 or more", 5},
		{"--keep 1 old", 2, "not both", 5},
		{"nosuch", 2, `no results are named "nosuch"`, 5},
		{"run", 2, `no results are named "run"`, 5},
		{"2020", 2, `"2020" is ambiguous`, 5},
		{"../../..", 2, "no results are named", 5},
		{"--older 30d --dry-run", 0, "would remove " + ids[1], 5},
		{"old", 0, "removed 1 result, ", 4},
		{"--keep 4", 0, "removed 0 results", 4},
		{"--older 30d", 0, "kept " + ids[2] + ": it is still running", 3},
		{"--keep 0", 0, "removed " + ids[3], 2},
	} {
		status, out, errs := call(vars, append([]string{"runs", "prune"}, strings.Fields(test.args)...)...)
		if status != test.status || !strings.Contains(out+errs, test.want) || len(left()) != test.left {
			t.Errorf("prune %s: status %d, left %v\n%s%s", test.args, status, left(), out, errs)
		}
	}
	if got := left(); !slices.Equal(got, []string{ids[2], "not-ours"}) {
		t.Errorf("left: %v", got)
	}
}

// Commands that begin in the same second do not meet.
func TestResultsOfCommandsAtTheSameTime(t *testing.T) {
	runs, now := t.TempDir(), time.Now()
	var mu sync.Mutex
	seen := map[string]bool{}
	var working sync.WaitGroup
	for range 20 {
		working.Go(func() {
			dir, err := newResults(runs, now, "run", "a b/c")
			mu.Lock()
			defer mu.Unlock()
			if err != nil || seen[dir] || !anID.MatchString(filepath.Base(dir)) {
				t.Errorf("%s, %v", dir, err)
			}
			seen[dir] = true
		})
	}
	working.Wait()
	if _, _, err := (&lab{env: func(string) string { return "" }}).resultsDir("", "run", "x"); err == nil || !strings.Contains(err.Error(), "--out") {
		t.Error(err)
	}
}

func FuzzParseAge(f *testing.F) {
	for _, text := range []string{"", "30d", "12h", "-1d", "1e9d", "d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if age, err := parseAge(text); err == nil && age < 0 {
			t.Errorf("%q is %s", text, age)
		}
	})
}

// TestTwoLookWhetherResultsAreComplete has two commands look at the same time at what
// an interrupted one has left: neither takes the other for one that runs.
func TestTwoLookWhetherResultsAreComplete(t *testing.T) {
	looks := flock.New(write(t, lockFile, ""))
	if free, err := looks.TryRLock(); err != nil || !free {
		t.Fatal(free, err)
	}
	defer looks.Unlock()
	if isRunning(filepath.Dir(looks.Path())) {
		t.Error("somebody else who looks is taken for a command that runs")
	}
}
