package heap

import (
	"math"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const gib = 1 << 30

func TestAllowed(t *testing.T) {
	for _, test := range []struct {
		name  string
		taken int64
		host  host
		want  int64
	}{
		{"what is free, but for an eighth of all", 0, host{total: 16 * gib, available: 10 * gib}, 8 * gib},
		{"what it has already is its own", 3 * gib, host{total: 16 * gib, available: 10 * gib}, 11 * gib},
		{"others have taken the rest", 3 * gib, host{total: 16 * gib, available: 2 * gib}, 3 * gib},
		{"and more than that", 3 * gib, host{total: 16 * gib, available: 0}, 1 * gib},
		{"a small host", 0, host{total: gib / 4, available: gib / 8}, least},
		{"a cgroup with less than the host", 0, host{total: 16 * gib, available: 10 * gib, cgroup: 2 * gib}, 2 * gib / 10 * 9},
		{"a cgroup with more than the host", 0, host{total: 16 * gib, available: 10 * gib, cgroup: 64 * gib}, 8 * gib},
		{"nobody knows what is free", 0, host{total: 16 * gib, available: -1}, 8 * gib},
		{"nobody knows anything", 0, host{available: -1}, math.MaxInt64},
	} {
		if got := allowed(test.taken, test.host); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, GiB(got), GiB(test.want))
		}
	}
}

func TestOfHost(t *testing.T) {
	if h := ofHost(); h.total <= 0 || h.available > h.total || runtime.GOOS == "linux" && h.available <= 0 {
		t.Errorf("%+v", h)
	}
}

func TestRestore(t *testing.T) {
	percent, limit := debug.SetGCPercent(87), debug.SetMemoryLimit(1<<40)
	defer func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) }()
	s := Set(func(text string) { t.Error(text) })
	if got := debug.SetMemoryLimit(-1); got != s.Limit() || got == 1<<40 {
		t.Errorf("the limit is %s, told as %s", GiB(got), GiB(s.Limit()))
	}
	s.Restore()
	if p, l := debug.SetGCPercent(87), debug.SetMemoryLimit(-1); p != 87 || l != 1<<40 {
		t.Errorf("restored to %d %% and %d", p, l)
	}
}

func TestPressure(t *testing.T) {
	at := func(alive int64, collecting, working float64) usage {
		return usage{alive: alive, percent: 400, collecting: collecting, working: working}
	}
	for name, test := range map[string]struct {
		usages []usage
		limit  int64
		want   bool
	}{
		"room for garbage":              {[]usage{at(gib, 0, 0), at(gib, 9, 10)}, 6 * gib, false},
		"no room, little to collect":    {[]usage{at(gib, 0, 0), at(gib, 2, 10)}, 2 * gib, false},
		"no room, all the time":         {[]usage{at(gib, 0, 0), at(gib, 6, 10)}, 2 * gib, true},
		"not for long":                  {[]usage{at(gib, 0, 0), at(gib, 3, 4)}, 2 * gib, false},
		"before there was no room":      {[]usage{at(0, 8, 10), at(gib, 9, 20)}, 2 * gib, false},
		"it lasts":                      {[]usage{at(gib, 0, 0), at(gib, 2, 3), at(gib, 4, 6)}, 2 * gib, true},
		"a limit that nobody can reach": {[]usage{at(gib, 0, 0), at(gib, 9, 10)}, math.MaxInt64, false},
	} {
		var p pressure
		short := false
		for _, u := range test.usages {
			short = p.add(u, test.limit)
		}
		if short != test.want {
			t.Errorf("%s: %t, %s", name, short, &p)
		}
	}
}

// TestShortOfMemory has a process, with the limit that a user sets, keep more
// than that, and is told of it.
func TestShortOfMemory(t *testing.T) {
	if os.Getenv("HEAP_TEST") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestShortOfMemory$", "-test.v")
		cmd.Env = append(os.Environ(), "HEAP_TEST=1", "GOMEMLIMIT=64MiB")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "short of memory: ") || !strings.Contains(string(out), "this process may have 0.1 GiB") {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	told := make(chan string, 1)
	s := Set(func(text string) { told <- text })
	defer s.Restore()
	if s.Limit() != 64<<20 {
		t.Errorf("the limit is %d", s.Limit())
	}
	kept := make([]*[4]*int, 0, 2<<20) // more than the limit, and pointers, so that there is something to mark
	for range cap(kept) {
		kept = append(kept, new([4]*int))
	}
	deadline := time.After(2 * time.Minute)
	for {
		select {
		case text := <-told:
			t.Log(text)
			runtime.KeepAlive(kept)
			return
		case <-deadline:
			t.Fatal("nobody said anything")
		default:
			for i := range kept {
				kept[i] = new([4]*int)
			}
		}
	}
}
