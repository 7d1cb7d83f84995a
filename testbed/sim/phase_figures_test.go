package sim

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// inContainers are first detections of 24 runs on containers, in seconds: five
// peers of the profile lan, one killed three seconds after all saw all.
var inContainers = []float64{
	5.36, 5.43, 5.45, 5.46, 5.59, 5.68, 5.76, 5.78, 5.80, 5.81, 5.85, 5.89,
	5.90, 5.94, 6.19, 6.39, 6.59, 6.61, 6.67, 6.91, 6.93, 7.40, 7.75, 7.81,
}

// firstDetections kills the last of n peers wait after all see all, and returns
// the seconds until the first holds it dead, in so many runs.
func firstDetections(t *testing.T, n, runs int, wait time.Duration, phase string) []float64 {
	t.Helper()
	var found []float64
	for seed := range runs {
		err := Run(t.Context(), uint64(seed+1), func(ctx context.Context, f testbed.Factory) error {
			l := &lab{t: t, ctx: ctx, names: testbed.Names(n)}
			var err error
			l.Engine, err = f.Create(ctx, testbed.Spec{Peers: l.names, Settings: map[string]string{"profile": "lan", "no-chat": "true", "phase": phase}})
			l.must(err)
			l.up()
			time.Sleep(wait)
			at, killed := l.History().Len(), time.Now()
			l.must(l.Kill(ctx, l.names[n-1]))
			l.await(time.Minute, "somebody holds it dead", func(v view) bool {
				return slices.ContainsFunc(l.names, func(o string) bool { return v[o][l.names[n-1]] == "dead" })
			})
			found = append(found, l.since(at, event.MemberDead)[0].Time.Sub(killed).Seconds())
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// distance returns the largest distance between two empirical distributions, and
// what it exceeds in one of 20 cases where both are of one kind: the test of
// Kolmogorov and Smirnov.
func distance(a, b []float64) (d, most float64) {
	share := func(values []float64, x float64) float64 {
		n := 0
		for _, v := range values {
			if v <= x {
				n++
			}
		}
		return float64(n) / float64(len(values))
	}
	for _, x := range slices.Concat(a, b) {
		d = max(d, math.Abs(share(a, x)-share(b, x)))
	}
	n, m := float64(len(a)), float64(len(b))
	return d, 1.358 * math.Sqrt((n+m)/(n*m))
}

// TestFigurePhase is make bench-phase: what the moment of a kill within a second
// does to its detection, and how detections in virtual time are spread beside
// those in containers.
func TestFigurePhase(t *testing.T) {
	if os.Getenv("PEERLAB_BENCH") == "" {
		t.Skip("PEERLAB_BENCH is not set: make bench-phase")
	}
	const runs = 200
	fmt.Println("| peers | phase | wait before the kill | first detection, mean and 95 % interval |\n|---|---|---|---|")
	for _, phase := range []string{"random", "aligned"} {
		type group struct{ mean, err float64 }
		var groups []group
		for _, wait := range []time.Duration{5000, 5250, 5500, 5750} {
			mean, sd := spread(firstDetections(t, 8, runs, wait*time.Millisecond, phase))
			g := group{mean, sd / math.Sqrt(runs)}
			groups = append(groups, g)
			fmt.Printf("| 8 | %s | %.2f s | %.2f s (%.2f to %.2f) |\n", phase, (wait * time.Millisecond).Seconds(), g.mean, g.mean-1.96*g.err, g.mean+1.96*g.err)
		}
		for i, a := range groups {
			for _, b := range groups[:i] {
				// 2.64 is that of six comparisons together, in one of 20 cases.
				if diff := math.Abs(a.mean - b.mean); phase == "random" && diff > 2.64*math.Hypot(a.err, b.err) {
					t.Errorf("the means %.2f and %.2f s differ by more than chance", a.mean, b.mean)
				}
			}
		}
	}
	for _, phase := range []string{"random", "aligned"} {
		found := firstDetections(t, 5, runs, 3*time.Second, phase)
		mean, sd := spread(found)
		d, most := distance(found, inContainers)
		fmt.Printf("| 5 | %s | 3 s | %.2f ± %.2f s, distance to containers %.2f of %.2f allowed |\n", phase, mean, sd, d, most)
		if phase == "random" && d > most {
			t.Errorf("detections are spread otherwise than in containers: %.2f > %.2f", d, most)
		}
	}
	mean, sd := spread(inContainers)
	fmt.Printf("| 5 | containers, 24 runs | 3 s | %.2f ± %.2f s |\n", mean, sd)
}
