package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"peerlab/observe"
	"peerlab/scenarios"
	"peerlab/testbed"
	"peerlab/testbed/docker"
	"peerlab/testbed/docker/dockertest"
)

// longRun is how long a scenario may wait to be part of these tests. make
// gallery runs the others, or PEERLAB_GALLERY=all does.
const longRun = time.Minute

// TestScenarios runs the scenarios of testdata and of the gallery, each arm a
// subtest, on containers of the present sources.
func TestScenarios(t *testing.T) {
	if shared.missing != nil {
		t.Skip(shared.missing)
	}
	t.Parallel()
	d, err := docker.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	images, remove, err := dockertest.Build(t.Context(), "..", shared.owner.tag())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	f := docker.NewFactory(d, docker.Options{PeerImage: images.Peer, BootstrapImage: images.Bootstrap, FabricImage: images.Fabric})
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
			if problems, ok := err.(scenarios.Problems); ok && problems.Unable() {
				t.Run(s.Name, func(t *testing.T) { t.Skip(err) })
				continue
			}
			t.Error(err)
			continue
		}
		for _, p := range plans {
			long := p.Least > longRun && os.Getenv("PEERLAB_GALLERY") != "all"
			if !long {
				missing = slices.DeleteFunc(missing, func(w string) bool { return slices.Contains(p.Uses, w) })
			}
			t.Run(p.Name(), func(t *testing.T) {
				if long {
					t.Skipf("it takes %s: make gallery runs it", p.Least)
				}
				t.Parallel()
				done, err := b.Run(t.Context(), []*scenarios.Plan{p})
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range done {
					if d.Verdict != observe.Pass {
						t.Errorf("%s: %s\n%s", d.Verdict, d.Reason, d.Story)
					}
				}
			})
		}
	}
	if len(missing) > 0 {
		t.Errorf("no scenario that these tests run has %q", missing)
	}
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
