package docker

import (
	"errors"
	"slices"
	"testing"

	"peerlab/event"
	"peerlab/testbed"
)

// TestFaultWithoutEffect measures a cut that nobody applied.
func TestFaultWithoutEffect(t *testing.T) {
	t.Parallel()
	c := up(t, options("alice", "bob"))
	ctx := t.Context()
	members, err := daemon.List(ctx, c.Name())
	if err != nil {
		t.Fatal(err)
	}
	to, err := matrix(links(t, "alice -> bob drop=udp"), members)
	if err != nil {
		t.Fatal(err)
	}
	v, err := c.wires.probes.Prepare(ctx, c.history, members, nil, to)
	if err != nil {
		t.Fatal(err)
	}
	mark := c.History().Len()
	var without *testbed.NoEffectError
	if err := v.Run(ctx); !errors.As(err, &without) {
		t.Fatalf("a cut that was not made: %v", err)
	}
	want := "alice -> bob: fault without effect: 20 of 20 UDP packets arrived, none should"
	if without.Pair != (testbed.Pair{From: "alice", To: "bob"}) || without.Detail != want {
		t.Errorf("%+v, want %s", without, want)
	}
	for _, pair := range [][2]string{{"alice", "bob"}, {"bob", "alice"}} {
		if !slices.ContainsFunc(c.since(mark), func(e event.Event) bool {
			return e.Kind == testbed.LabProbe && e.Member == pair[0] && e.Addr == pair[1] && (e.Error == want) == (pair[0] == "alice")
		}) {
			t.Errorf("what was measured from %s to %s is not in the history: %+v", pair[0], pair[1], c.since(mark))
		}
	}
	// A peer that ends meanwhile says nothing about its links.
	v, err = c.wires.probes.Prepare(ctx, c.history, members, nil, to)
	if err == nil {
		err = c.Kill(ctx, "bob")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Run(ctx); err != nil {
		t.Errorf("a peer that was killed: %v", err)
	}
}
