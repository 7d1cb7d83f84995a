package sim

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"peerlab/event"
	"peerlab/testbed"
)

func TestRun(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "value")
	failed := errors.New("failed")
	before := time.Now()
	err := Run(ctx, 42, func(ctx context.Context, f testbed.Factory) error {
		time.Sleep(1000 * time.Hour)
		if got := time.Now().Format(time.DateOnly); got != "2000-02-11" {
			t.Errorf("it is %s", got)
		}
		if ctx.Value(key{}) != "value" || f.Name() != "sim" {
			t.Errorf("context value %v, factory %s", ctx.Value(key{}), f.Name())
		}
		if err := Run(ctx, 1, nil); err == nil {
			t.Error("a Run within a Run")
		}
		return failed
	})
	if !errors.Is(err, failed) || !strings.Contains(err.Error(), "seed 42") {
		t.Errorf("%v", err)
	}
	if time.Since(before) > time.Hour {
		t.Error("it took real time")
	}
	err = Run(t.Context(), 1, func(context.Context, testbed.Factory) error { panic("oh") })
	if err == nil || !strings.Contains(err.Error(), "panic: oh") {
		t.Errorf("panic: %v", err)
	}
}

// TestRunEnds with the context outside.
func TestRunEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := Run(ctx, 1, func(inner context.Context, f testbed.Factory) error {
		e, err := f.Create(inner, testbed.Spec{Peers: testbed.Names(3)})
		if err != nil {
			return err
		}
		if err := e.Start(inner, "alice", "bob", "charly"); err != nil {
			return err
		}
		cancel()
		<-inner.Done()
		return nil
	})
	if !errors.Is(err, context.Canceled) || errors.As(err, new(*BlockedError)) {
		t.Errorf("%v", err)
	}
	if err := Run(ctx, 1, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("begun after the end: %v", err)
	}
}

// TestRunsAtTheSameTime have a time each.
func TestRunsAtTheSameTime(t *testing.T) {
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			err := Run(t.Context(), uint64(i), func(ctx context.Context, f testbed.Factory) error {
				l := &lab{t: t, ctx: ctx, names: testbed.Names(3)}
				var err error
				l.Engine, err = f.Create(ctx, testbed.Spec{Peers: l.names, Settings: map[string]string{"profile": "local"}})
				l.must(err)
				l.up()
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// blocked runs f, which blocks for good, and returns what is said of it. What
// blocks stays.
func blocked(t *testing.T, f func(ctx context.Context, l *lab) error) string {
	t.Helper()
	err := Run(t.Context(), 7, func(ctx context.Context, factory testbed.Factory) error {
		l := &lab{t: t, ctx: ctx, names: testbed.Names(2)}
		var err error
		l.Engine, err = factory.Create(ctx, testbed.Spec{Peers: l.names})
		l.must(err)
		return f(ctx, l)
	})
	var stuck *BlockedError
	if !errors.As(err, &stuck) {
		t.Fatalf("%v", err)
	}
	return err.Error()
}

func TestBlocked(t *testing.T) {
	t.Run("for ever", func(t *testing.T) {
		said := blocked(t, func(_ context.Context, l *lab) error {
			l.History().Record(event.Event{Kind: testbed.LabMark, Text: "line 12: await never"})
			forEver()
			return nil
		})
		wants(t, said, "seed 7", "all goroutines in bubble are blocked", "after lab.mark line 12: await never\n", "the driver: sim.forEver (run_test.go:")
	})
	t.Run("left behind", func(t *testing.T) {
		said := blocked(t, func(context.Context, *lab) error {
			go forEver()
			return errors.New("had failed")
		})
		wants(t, said, "blocked goroutines remain", "sim.forEver", "had failed")
	})
	t.Run("lock", func(t *testing.T) {
		var mu sync.Mutex
		said := blocked(t, func(_ context.Context, l *lab) error {
			l.History().Record(event.Event{Kind: testbed.LabMark, Text: "line 3: start"})
			l.must(l.Start(l.ctx, "alice"))
			mu.Lock()
			go func() {
				time.Sleep(time.Hour)
				mu.Unlock()
			}()
			mu.Lock()
			return nil
		})
		wants(t, said, "waits for a lock", "the driver", "for a lock", "alice: ", "after lab.mark line 3: start, lab.start alice\n")
		mu.Unlock()
	})
	t.Run("a channel from outside", func(t *testing.T) {
		end := make(chan struct{})
		said := blocked(t, func(_ context.Context, l *lab) error {
			l.must(l.Start(l.ctx, "alice"))
			l.must(l.Pause(l.ctx, "alice"))
			<-end
			return nil
		})
		wants(t, said, "made outside the simulation", "the driver: ", "after lab.pause alice\n")
		close(end)
	})
}

// TestWatchdog looks at all stacks, which is dear, only when the program does
// nothing or a simulation has not moved for long, and still finds one that is stuck
// beside others that work.
func TestWatchdog(t *testing.T) {
	for name, test := range map[string]struct {
		moves, works, stuck bool
		blocked             bool
		after               time.Duration
		looks               int // at stacks
	}{
		"it moves":                        {moves: true, stuck: true, after: time.Hour},
		"a long instant":                  {works: true, after: 10 * time.Minute, looks: 10},
		"stuck, and nothing else":         {stuck: true, blocked: true, after: 4 * time.Second, looks: 2},
		"stuck, while others work":        {works: true, stuck: true, blocked: true, after: 3 * time.Minute, looks: 2},
		"it waits, for no lock, and long": {after: 5 * time.Minute, looks: 10},
	} {
		looks := 0
		w := watchdog{
			pause:   patience,
			working: func() bool { return test.works },
			stuck: func() string {
				looks++
				if test.stuck {
					return lockHeld
				}
				return ""
			},
		}
		var ticks uint64
		blocked := false
		now := w.pause
		for ; !blocked && now <= test.after; now += w.pause {
			if test.moves {
				ticks++
			}
			blocked = w.look(ticks)
		}
		if blocked != test.blocked || looks > test.looks {
			t.Errorf("%s: blocked %t after %s, with %d looks at stacks", name, blocked, now, looks)
		}
	}
}

// forEver blocks; the goroutines that do are left.
func forEver() { select {} }

func wants(t *testing.T, said string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(said, part) {
			t.Errorf("not said: %q, but\n%s", part, said)
		}
	}
}

const program = `package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"peerlab/testbed"
	"peerlab/testbed/sim"
)

func main() {
	err := sim.Run(context.Background(), 1, func(ctx context.Context, f testbed.Factory) error {
		e, err := f.Create(ctx, testbed.Spec{Peers: []string{"alice"}})
		if err != nil {
			return err
		}
		if err := e.Start(ctx, "alice"); err != nil {
			return err
		}
		time.Sleep(time.Hour)
		return e.Exec(ctx, "alice", "members", testbed.Input{}, os.Stdout)
	})
	fmt.Println("error:", err)
}
`

// TestRunInAProgram: in a binary that is no test Run prints nothing of its own
// and reads no flags, whatever they look like.
func TestRunInAProgram(t *testing.T) {
	dir, err := os.MkdirTemp(".", "program") // of this module
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "program")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./"+dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), binary, "-test.v", "-test.run=none", "--engine", "sim").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[1], "alice  10.77.0.11:7946  alive") || lines[2] != "error: <nil>" {
		t.Errorf("%q", lines)
	}
}

// TestNothingIsLeft of a cluster when its Run is over.
func TestNothingIsLeft(t *testing.T) {
	before := goleak.IgnoreCurrent()
	simulate(t, 5, nil, func(l *lab) {
		l.up()
		l.must(l.Kill(l.ctx, "alice"))
		l.must(l.Pause(l.ctx, "bob"))
		l.must(l.Throttle(l.ctx, 0.01, "charly"))
		l.must(l.SetLinks(l.ctx, testbed.Links{{From: "dave", To: "erin"}: {Drop: testbed.DropAll}}))
		time.Sleep(time.Minute)
	})
	goleak.VerifyNone(t, before)
}

// TestClustersAreCollected by the first collection after their Runs, but for what
// pools refer to: what survives one makes the next come later, so that more
// survives that.
func TestClustersAreCollected(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // none but this test's
	const runs, most = 12, 150 << 10
	for range runs {
		simulate(t, 3, nil, func(l *lab) { l.up() })
	}
	var once, twice runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&once)
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&twice)
	if kept := int(once.HeapAlloc-twice.HeapAlloc) / runs; kept > most {
		t.Errorf("%d KB of each cluster survive a collection", kept>>10)
	} else {
		t.Logf("%d KB of each cluster survive a collection", kept>>10)
	}
}
