// Package timekeeper watches this host while something is measured on it, and
// records when it did not keep time: a late timer here is a late timer in a
// peer, which others may take for a failure.
package timekeeper

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// What spoils a measurement. The shortest time that memberlist's defaults set is
// the ProbeTimeout of 200 ms of the profile local: a host that holds a process
// up for as long makes a probe fail that nothing was wrong with.
const (
	// Late is by how much a timer, or the clock itself, may be off.
	Late = 200 * time.Millisecond
	// Queue is how many tasks per processor may be runnable, on average of a
	// window. Each runs for about 3 ms before the next has its turn, so that
	// with 64 the last one waits for 200 ms.
	Queue = 64
	// Stolen is the share of processor time that a hypervisor may give to
	// others: it is 200 ms of a second.
	Stolen = 0.2
	// Throttled is for how long of a window the limit of the control group of
	// this process may hold it up.
	Throttled = 200 * time.Millisecond
)

const (
	window = time.Second           // there is at most one record for each
	beat   = 20 * time.Millisecond // of the timer that is watched
)

// Watch records a lab.busy event in the history for each second in which this
// host did not keep time, until ctx ends. The event comes at the end of that
// second, or when the host comes to. What cannot be read here, because
// the kernel has it not, is not watched; timers always are. Watch is for real time:
// in a simulator's nothing is late.
func Watch(ctx context.Context, h *testbed.History) {
	w := watcher{host: host{os.DirFS("/")}, cpus: runtime.NumCPU()}
	w.watch(ctx, func(text string) { h.Record(event.Event{Kind: testbed.LabBusy, Text: text}) })
}

type watcher struct {
	host host
	cpus int

	late     time.Duration // the worst of this window
	jumped   time.Duration // of the clock, in this window
	runnable int           // the sum over this window
	beats    int
}

func (w *watcher) watch(ctx context.Context, busy func(text string)) {
	timer := time.NewTimer(beat)
	defer timer.Stop()
	since := w.host.sample()
	began, before := time.Now(), time.Now()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		now := time.Now()
		w.tick(before, now)
		if now.Sub(began) >= window {
			sample := w.host.sample()
			if text := w.verdict(since, sample); text != "" {
				busy(text)
			}
			since, began = sample, now
			w.late, w.jumped, w.runnable, w.beats = 0, 0, 0, 0
			now = time.Now() // what this took is not the host's fault
		}
		before = now
		timer.Reset(beat)
	}
}

// tick takes one beat, from before to now.
func (w *watcher) tick(before, now time.Time) {
	took := now.Sub(before) // by the monotonic clock
	w.late = max(w.late, took-beat)
	// Wall clock and monotonic clock part when one is set, or the host sleeps.
	if jump := now.Round(0).Sub(before.Round(0)) - took; jump.Abs() > w.jumped.Abs() {
		w.jumped = jump
	}
	w.runnable += w.host.runnable()
	w.beats++
}

// verdict says what was wrong in a window between two samples, "" if nothing.
func (w *watcher) verdict(from, to sample) string {
	var wrong []string
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if w.late >= Late {
		add("a timer came %s late", w.late.Round(time.Millisecond))
	}
	if w.jumped.Abs() >= Late {
		add("the clock jumped by %s", w.jumped.Round(time.Millisecond))
	}
	if queue := float64(w.runnable) / float64(max(1, w.beats)); queue >= Queue*float64(w.cpus) {
		add("%.0f tasks shared %d processors", queue, w.cpus)
	}
	if total := to.total - from.total; to.total > from.total && to.stolen > from.stolen {
		if share := float64(to.stolen-from.stolen) / float64(total); share >= Stolen {
			add("%.0f %% of processor time went to other machines", 100*share)
		}
	}
	if held := to.throttled - from.throttled; held >= Throttled {
		add("the control group's limit held the lab up for %s", held.Round(time.Millisecond))
	}
	return strings.Join(wrong, "; ")
}
