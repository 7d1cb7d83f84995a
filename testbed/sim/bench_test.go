//go:build unix

package sim

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/heap"
)

// BenchmarkCluster runs clusters of several sizes, LAN profile, without the
// chat unless CHAT=true: all join, spend a minute, in which memberlist still
// gossips that they have joined, and later another in which nothing happens, and
// detect crashes.
// make bench-sim runs it; SIZES chooses the sizes.
//
//   - x-real: how many times faster than real time each of that is
//   - x-cpu: the same as if it ran on one processor and nothing else did
//   - peer-s/cpu-s: peers × virtual seconds of the idle minute for each second
//     of a processor
//   - MB: the most memory the process took; KB/pair: that for each of the n²
//     entries of node tables
func BenchmarkCluster(b *testing.B) {
	defer heap.Set(func(text string) { b.Log(text) }).Restore() // as the program does
	sizes := "50 200"
	if s := os.Getenv("SIZES"); s != "" {
		sizes = s
	}
	for size := range strings.FieldsSeq(sizes) {
		n, err := strconv.Atoi(size)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(size, func(b *testing.B) {
			for range b.N {
				clusterOf(b, n)
			}
		})
	}
}

func clusterOf(b *testing.B, n int) {
	resetPeak()
	err := Run(b.Context(), 1, func(ctx context.Context, f testbed.Factory) error {
		names := testbed.Names(n)
		spec := testbed.Spec{Peers: names, Settings: map[string]string{"no-chat": strconv.FormatBool(os.Getenv("CHAT") != "true")}}
		e := newCluster(f.(*factory).sim, spec) // Create stops at testbed.MaxPeers
		defer e.Close(ctx)
		watch := newStopwatch()
		if err := e.Start(ctx, append(names, testbed.Bootstrap)...); err != nil {
			return err
		}
		if err := count(ctx, e, 0, event.MemberJoin, n*n); err != nil {
			return err
		}
		join := watch.lap()
		time.Sleep(time.Minute)
		settle := watch.lap() // what is left to gossip of the joins
		fmt.Fprintf(os.Stderr, "%d peers: all joined after %.0f s (%.0f s of a processor, %.0f MB), a minute later %.0f s more\n", n, join.virtual, join.cpu, peak()/1e6, settle.cpu)
		// As long as that takes at 1,000.
		time.Sleep(2 * time.Minute)
		watch.lap()
		time.Sleep(time.Minute)
		idle := watch.lap()
		crash, err := crashes(ctx, e, watch, names)
		if err != nil {
			return err
		}
		for what, l := range map[string]lap{"join": join, "settle": settle, "idle": idle, "crash": crash} {
			b.ReportMetric(l.virtual/l.real, what+"-x-real")
			b.ReportMetric(l.virtual/l.cpu, what+"-x-cpu")
		}
		b.ReportMetric(float64(n)*idle.virtual/idle.cpu, "peer-s/cpu-s")
		b.ReportMetric(join.virtual, "join-virtual-s")
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(peak()/1e6, "MB")
	b.ReportMetric(peak()/1e3/float64(n*n), "KB/pair")
	b.ReportMetric(0, "ns/op")
	runtime.GC()
	debug.FreeOSMemory()
}

// crashes kills peers, one after the other, each of which all others detect and
// later take in again, and returns what detecting took, all in all. A single one
// of a small cluster takes so little that it hangs on whether garbage happens to
// be collected meanwhile.
func crashes(ctx context.Context, e testbed.Engine, watch *stopwatch, names []string) (sum lap, err error) {
	n := len(names)
	for i := range min(max(1, 1000/n), 5) {
		victim, before := names[n/2+i], e.History().Len()
		watch.lap()
		if err := e.Kill(ctx, victim); err != nil {
			return sum, err
		}
		if err := count(ctx, e, before, event.MemberDead, n-1); err != nil {
			return sum, err
		}
		l := watch.lap()
		sum = lap{sum.virtual + l.virtual, sum.real + l.real, sum.cpu + l.cpu}
		if err := e.Start(ctx, victim); err != nil {
			return sum, err
		}
		time.Sleep(time.Minute)
	}
	return sum, nil
}

// count waits until there were so many events of a kind after the first at.
func count(ctx context.Context, e testbed.Engine, at int, kind event.Kind, want int) error {
	for seen := 0; seen < want; {
		events, err := e.History().Read(ctx, at)
		if err != nil {
			return fmt.Errorf("%d of %d %s: %w", seen, want, kind, err)
		}
		at += len(events)
		for _, ev := range events {
			if ev.Kind == kind {
				seen++
			}
		}
	}
	return nil
}

// stopwatch measures virtual, real and processor time, in seconds.
type stopwatch struct{ last lap }

type lap struct{ virtual, real, cpu float64 }

func newStopwatch() *stopwatch { return &stopwatch{now()} }

func (s *stopwatch) lap() lap {
	was := s.last
	s.last = now()
	return lap{s.last.virtual - was.virtual, s.last.real - was.real, s.last.cpu - was.cpu}
}

func now() lap {
	var real syscall.Timeval
	_ = syscall.Gettimeofday(&real) // which no bubble makes virtual
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return lap{
		virtual: float64(time.Now().UnixNano()) / 1e9,
		real:    float64(real.Nano()) / 1e9,
		cpu:     float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9,
	}
}

// resetPeak begins to measure the most memory anew.
func resetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// peak returns the most memory the process took, in bytes, where /proc tells.
func peak() float64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	kb, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(line), "kB")), 64)
	return kb * 1024
}
