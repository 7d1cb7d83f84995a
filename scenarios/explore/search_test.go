package explore

import (
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"peerlab/testbed/sim"
)

// The chat breaks no promise, and views converge, whatever happens to peers and
// links: kills, restarts, pauses, partitions, loss, one-way cuts. A few
// schedules from a fixed seed and a few from a fresh one; PEERLAB_SEARCH says how
// many of them and of ten minutes (make search), PEERLAB_SEED the seed.
func TestNothingIsFound(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	shape := Shape{Peers: 8, For: 2 * time.Minute}
	runs, seeds := 4, []uint64{1, rand.Uint64N(1_000_000_000)}
	if asked, err := strconv.Atoi(os.Getenv("PEERLAB_SEARCH")); err == nil {
		shape.For, runs = 10*time.Minute, (asked+1)/2
	}
	if seed, err := strconv.ParseUint(os.Getenv("PEERLAB_SEED"), 10, 64); err == nil {
		seeds, runs = []uint64{seed}, 2*runs
	}
	for _, seed := range seeds {
		began := time.Now()
		sum, err := Search(t.Context(), Options{
			Shape: shape, Host: sim.Run, Seed: seed, Runs: runs, Workers: runtime.NumCPU(), Shrinking: time.Minute,
			Progress: func(p Progress) {
				if p.Done > 0 && p.Done%50 == 0 {
					t.Logf("%d schedules after %s", p.Done, time.Since(began).Round(time.Second))
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("seed %d: %d schedules of %s in %s", seed, sum.Done, short(shape.For), time.Since(began).Round(time.Millisecond))
		if sum.Unable > 0 {
			t.Errorf("%d could not be told, such as %s", sum.Unable, sum.Reason)
		}
		if f := sum.Finding; f != nil {
			t.Fatalf("found\n%s\n%s", f.Text, f.Story)
		}
	}
}
