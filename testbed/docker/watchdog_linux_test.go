package docker

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestEntry runs programs that make a cluster or images. One that did not begin
// with the watchdog's entry is told so at once, and the watchdog of one that
// ignores what the entry says makes nothing: else each of them would start the
// next.
func TestEntry(t *testing.T) {
	needDocker(t)
	built := filepath.Join(t.TempDir(), "built")
	if output, err := exec.Command("go", "build", "-o", built, "./testdata/entry").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	code, err := os.ReadFile(built)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		entry, makes, then string
		says               string
		status             int
	}{
		{"none", "create", "stays", "begin main with it, or TestMain", 1},
		{"none", "guard", "stays", "begin main with it, or TestMain", 1},
		{"ignored", "guard", "ends", "made", 0},
		{"right", "guard", "ends", "made", 0},
		// As by a build while a batch runs.
		{"right", "guard", "replaced", "made", 0},
	} {
		t.Run(fmt.Sprint(test.entry, " ", test.makes, " ", test.then), func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "entry")
			if err := os.WriteFile(program, code, 0o700); err != nil {
				t.Fatal(err)
			}
			defer endAll(t, program)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, program)
			cmd.Env = append(os.Environ(), "ENTRY="+strings.Join([]string{test.entry, test.makes, test.then, images.Peer, images.Bootstrap}, " "))
			cmd.WaitDelay = time.Second
			output, err := cmd.CombinedOutput()
			if status := cmd.ProcessState.ExitCode(); status != test.status || strings.Count(string(output), "\n") != 1 || !strings.Contains(string(output), test.says) {
				t.Errorf("%d %v %s, want %d %q", status, err, output, test.status, test.says)
			}
			// A watchdog removes what there is, and ends. One look can miss a process
			// that has just begun.
			began := time.Now()
			for quiet := 0; quiet < 5; <-time.After(100 * time.Millisecond) {
				left := processesOf(t, program)
				if quiet++; len(left) > 0 {
					quiet = 0
				}
				if time.Since(began) > 20*time.Second {
					t.Fatalf("processes are left: %d", len(left))
				}
			}
		})
	}
}

// processesOf returns the processes that run a program, or the one that was in
// its place.
func processesOf(t *testing.T, program string) (ids []int) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if path, err := os.Readlink(link); err == nil && strings.TrimSuffix(path, " (deleted)") == program {
			id, _ := strconv.Atoi(filepath.Base(filepath.Dir(link)))
			ids = append(ids, id)
		}
	}
	return ids
}

// endAll ends the processes of a program, and those they start meanwhile.
func endAll(t *testing.T, program string) {
	t.Helper()
	for quiet := 0; quiet < 3; {
		ids := processesOf(t, program)
		for _, id := range ids {
			_ = syscall.Kill(id, syscall.SIGKILL)
		}
		if quiet++; len(ids) > 0 {
			quiet = 0
		}
	}
}
