package e2e

import (
	"context"
	"testing"

	"peerlab/observe"
	"peerlab/scenarios"
	"peerlab/testbed"
	"peerlab/testbed/docker"
	"peerlab/testbed/docker/dockertest"
)

// TestScenarios runs on containers the built-in scenarios in which, together,
// each verb, fault and condition occurs. `make gallery` runs all of them.
func TestScenarios(t *testing.T) {
	if shared.missing != nil {
		t.Skip(shared.missing)
	}
	if testing.Short() {
		t.Skip("minutes of waiting")
	}
	daemon, err := docker.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = daemon.Close() })
	images, remove, err := dockertest.Build(t.Context(), "..", "scenarios")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	f := docker.NewFactory(daemon, docker.Options{PeerImage: images.Peer, BootstrapImage: images.Bootstrap, FabricImage: images.Fabric})
	b := &scenarios.Batch{
		Engine: "docker", Dir: t.TempDir(), Repeat: 1,
		Host: func(ctx context.Context, _ uint64, do func(context.Context, testbed.Factory) error) error { return do(ctx, f) },
		Tell: func(n scenarios.Note) {
			if n.Done != nil {
				t.Logf("%s after %s: %s", n.Run, n.At, n.Done.Verdict)
			}
		},
	}
	for _, name := range scenarios.ForContainers() {
		s, err := scenarios.Open(scenarios.GalleryPrefix + name)
		if err != nil {
			t.Fatal(err)
		}
		b.Scenarios = append(b.Scenarios, s)
	}
	plans, err := b.Plans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done, err := b.Run(t.Context(), plans)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range done {
		t.Run(d.Name, func(t *testing.T) {
			if d.Verdict != observe.Pass {
				t.Errorf("%s: %s\n%s", d.Verdict, d.Reason, d.Story)
			}
		})
	}
}
