package sim

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

func TestScaleProbe(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("SCALE"))
	if n == 0 {
		t.Skip()
	}
	if os.Getenv("NOCHAT") == "" {
		os.Setenv("NOCHAT", "false")
	}
	real := time.Now()
	err := Run(t.Context(), 1, func(ctx context.Context, factory testbed.Factory) error {
		names := testbed.Names(n)
		e, err := factory.Create(ctx, testbed.Spec{Peers: names, Settings: map[string]string{"profile": "lan", "no-chat": os.Getenv("NOCHAT"), "set": os.Getenv("SETS")}})
		if err != nil {
			return err
		}
		v0 := time.Now()
		_ = e.Start(ctx, testbed.Bootstrap)
		if err := e.Start(ctx, names...); err != nil {
			return err
		}
		count := func(kind event.Kind, member string, want int) time.Duration {
			seen := 0
			from, shown := time.Now(), time.Now()
			for at := 0; seen < want; {
				events, err := e.History().Read(ctx, at)
				if err != nil {
					panic(err)
				}
				at += len(events)
				if time.Since(shown) >= 5*time.Second {
					shown = time.Now()
					fmt.Printf("  %s: %d of %d, cpu %.1f, events %d\n", time.Since(v0).Round(time.Millisecond), seen, want, cpu(), e.History().Len())
				}
				for _, ev := range events {
					if ev.Kind == kind && (member == "" || ev.Member == member) {
						seen++
					}
				}
			}
			return time.Since(from)
		}
		report := func(what string) {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			fmt.Printf("%-10s virtual %8s  real %8s cpu %.2f heap %d MB sys %d MB events %d goroutines %d\n", what, time.Since(v0).Round(time.Millisecond), realSince(real).Round(time.Millisecond), cpu(), m.HeapAlloc>>20, m.Sys>>20, e.History().Len(), runtime.NumGoroutine())
		}
		count(event.MemberJoin, "", n*n)
		report("converged")
		time.Sleep(30 * time.Second)
		report("idle 30")
		time.Sleep(1000 * time.Second)
		report("idle 1000")
		_ = e.Kill(ctx, names[n/2])
		count(event.MemberDead, names[n/2], n-1)
		report("detected")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func realSince(t time.Time) time.Duration {
	var ts [2]int64
	realNow(&ts)
	return time.Unix(ts[0], ts[1]).Sub(t)
}
