package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"peerlab/observe"
	"peerlab/scenarios"
	"peerlab/scenarios/compare"
	"peerlab/testbed"
	"peerlab/testbed/docker"
	"peerlab/testbed/sim"
)

// alsoInSim names the scenarios of the gallery that run in virtual time as well,
// to give the same answers there: one for each way in which a peer can go.
var alsoInSim = []string{"crash", "leave", "partition"}

// TestScenarios runs the scenarios of testdata and, of the gallery, those for
// containers, each arm a subtest, on containers of the present sources. make
// gallery runs the others, or PEERLAB_GALLERY=all does. What alsoInSim names is
// compared as peerlab compare does.
func TestScenarios(t *testing.T) {
	if shared.missing != nil {
		t.Skip(shared.missing)
	}
	// Not in parallel with the other tests, which wait for it: its scenarios are
	// many clusters already, and what else runs makes them inconclusive.
	f := docker.NewFactory(shared.daemon, docker.Options{
		PeerImage: shared.images.Peer, BootstrapImage: shared.images.Bootstrap, FabricImage: shared.images.Fabric,
	})
	b := &scenarios.Batch{
		Engine: f.Name(), Dir: t.TempDir(),
		Host: func(ctx context.Context, _ uint64, do func(context.Context, testbed.Factory) error) error {
			return do(ctx, f)
		},
	}

	// All but skip, which makes no run green.
	missing := slices.DeleteFunc(scenarios.Words(), func(w string) bool { return w == "skip" })
	for _, s := range files(t) {
		plans, err := s.Plans(t.Context(), f, "", nil)
		if err != nil {
			// A kernel without what one scenario needs is no failure of it.
			if problems := scenarios.Problems(nil); errors.As(err, &problems) && problems.Unable() {
				t.Run(s.Name, func(t *testing.T) { t.Skip(err) })
				continue
			}
			t.Error(err)
			continue
		}
		for _, p := range plans {
			part := !s.BuiltIn() || slices.Contains(scenarios.ForContainers(), s.Name) || os.Getenv("PEERLAB_GALLERY") == "all"
			if part {
				missing = slices.DeleteFunc(missing, func(w string) bool { return slices.Contains(p.Uses, w) })
			}
			t.Run(p.Name(), func(t *testing.T) {
				if !part {
					t.Skip("make gallery runs it")
				}
				t.Parallel()
				// As in the gallery's own test: what is wrong fails again.
				again := &scenarios.Batch{Engine: b.Engine, Dir: t.TempDir(), Host: b.Host}
				for try, batch := range []*scenarios.Batch{b, again} {
					done, err := batch.Run(t.Context(), []*scenarios.Plan{p})
					if err != nil {
						t.Fatal(err)
					}
					failed := slices.DeleteFunc(slices.Clone(done), func(d *scenarios.Done) bool { return d.Verdict == observe.Pass })
					for _, d := range failed {
						t.Logf("run %d: %s: %s\n%s", try+1, d.Verdict, d.Reason, d.Story)
					}
					if len(failed) == 0 && (!s.BuiltIn() || !slices.Contains(alsoInSim, s.Name) || sameInSim(t, s, done)) {
						return
					}
				}
				t.Error("failed twice")
			})
		}
	}
	if len(missing) > 0 {
		t.Errorf("no scenario that these tests run has %q", missing)
	}
}

// sameInSim runs a scenario in virtual time and says whether it gives the answers
// that it gave on containers. Now and then gossip misses a peer, who then is far
// out of theory's bounds, in one run of twenty: with three seeds one is as usual.
func sameInSim(t *testing.T, s *scenarios.Scenario, onDocker []*scenarios.Done) bool {
	t.Helper()
	for seed := range uint64(3) {
		b := &scenarios.Batch{Engine: "sim", Host: sim.Run, Dir: t.TempDir(), Seed: seed + 1, Scenarios: []*scenarios.Scenario{s}}
		plans, err := b.Plans(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		inSim, err := b.Run(t.Context(), plans)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := compare.Rows(inSim, onDocker)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 || rows[0].Skipped != "" {
			t.Fatalf("nothing was compared: %+v", rows)
		}
		var table strings.Builder
		if err := compare.Markdown(&table, [2]string{"sim", "docker"}, rows); err != nil {
			t.Fatal(err)
		}
		t.Logf("seed %d:\n%s", seed+1, table.String())
		if !slices.ContainsFunc(rows, func(r compare.Row) bool { return len(r.Differs) > 0 }) {
			return true
		}
	}
	return false
}

func files(t *testing.T) []*scenarios.Scenario {
	t.Helper()
	all, err := scenarios.Gallery()
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob("testdata/*" + scenarios.Extension)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		s, err := scenarios.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}
