package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peerlab/scenarios"
)

func TestExploreAndSweepMisused(t *testing.T) {
	for want, args := range map[string][]string{
		"want 3 to":           {"explore", "--peers", "2"},
		"there is no check":   {"explore", "--checks", "chess"},
		"want key=value":      {"explore", "rejoin"},
		"must not be neg":     {"explore", "--runs", "-1"},
		"docker or sim":       {"explore", "--engine", "swarm"},
		"sweep needs one":     {"sweep"},
		"sweep needs --vary":  {"sweep", "gallery/crash"},
		"uses $LOSE: write":   {"sweep", "gallery/crash", "--vary", "lose=2"},
		"varies twice":        {"sweep", "gallery/crash", "--vary", "rejoin=0,5s", "--vary", "REJOIN=0"},
		"more than 100000":    {"sweep", "gallery/crash", "--vary", "SuspicionMult=1..900", "--repeat", "1000"},
		"want NAME=VALUES":    {"sweep", "gallery/crash", "--vary", "x"},
		"--repeat must be":    {"sweep", "gallery/crash", "--vary", "x=1", "--repeat", "0"},
		"--repeat must be 1 ": {"compare", "--repeat", "0"},
	} {
		status, _, stderr := call(nil, args...)
		if status != 2 || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: status %d, %q, want %q", args, status, stderr, want)
		}
	}
}

// What explore finds is a file that run takes, and fails.
func TestExploreFinds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "found.txt")
	status, stdout, stderr := call(nil, "explore", "--peers", "4", "--for", "2m", "--seed", "1", "--runs", "20", "--checks", "views", "--out", file, "rejoin=0")
	if status != 1 || !strings.Contains(stdout, "the scenario is in "+file) || !strings.Contains(stderr, "seed 1\n") {
		t.Fatalf("status %d\n%s\n%s", status, stdout, stderr)
	}
	text, err := os.ReadFile(file)
	// How small it gets is memberlist's chance; the schedules had four peers and
	// dozens of lines.
	if err != nil || !strings.Contains(string(text), " rejoin=0\n") || strings.Count(string(text), "\n") > 20 {
		t.Fatalf("%v\n%s", err, text)
	}
	if _, err := scenarios.Read(file); err != nil {
		t.Error(err)
	}
	if status, stdout, _ := call(nil, "run", "--engine", "sim", file, "--out", t.TempDir()); status != 1 {
		t.Errorf("run: status %d\n%s", status, stdout)
	}
}

// What an earlier search found is not overwritten.
func TestExploreKeepsWhatWasFound(t *testing.T) {
	t.Chdir(t.TempDir())
	const precious = "an earlier finding\n"
	for seed := range 21 {
		if err := os.WriteFile(fmt.Sprintf("found-%d.txt", seed), []byte(precious), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	status, stdout, stderr := call(nil, "explore", "--peers", "4", "--for", "2m", "--seed", "1", "--runs", "20", "--checks", "views", "--shrink", "0", "rejoin=0")
	if status != 1 {
		t.Fatalf("status %d\n%s\n%s", status, stdout, stderr)
	}
	found := ""
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if string(text) == precious {
			continue
		}
		found = e.Name()
		if info, err := e.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, %v", found, info.Mode(), err)
		}
	}
	if len(entries) != 22 || !strings.HasSuffix(found, "-2.txt") || !strings.Contains(stdout, found) {
		t.Errorf("%d files, the new one %q\n%s", len(entries), found, stdout)
	}
}
