package docker

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/fabric"
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
	v, err := c.prepare(ctx, members, nil, to)
	if err != nil {
		t.Fatal(err)
	}
	mark := c.History().Len()
	var without *testbed.NoEffectError
	if err := v.run(ctx); !errors.As(err, &without) {
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
	v, err = c.prepare(ctx, members, nil, to)
	if err == nil {
		err = c.Kill(ctx, "bob")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := v.run(ctx); err != nil {
		t.Errorf("a peer that was killed: %v", err)
	}
}

func TestChanged(t *testing.T) {
	at := func(i byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, i}) }
	pair := func(i, j byte) fabric.Pair { return fabric.Pair{From: at(i), To: at(j)} }
	cut := fabric.Link{Drop: fabric.DropAll}
	v := verification{
		matrix: fabric.Matrix{pair(2, 1): cut, pair(1, 3): cut, pair(3, 4): cut, pair(2, 9): cut},
		peers:  map[netip.Addr]dockerd.Member{at(1): {}, at(2): {}, at(3): {}, at(4): {}},
	}
	got := v.changed(fabric.Matrix{pair(3, 4): cut, pair(4, 1): {Loss: 10}})
	want := []fabric.Pair{pair(1, 2), pair(2, 1), pair(1, 3), pair(3, 1), pair(1, 4), pair(4, 1)}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSample(t *testing.T) {
	const peers = 60
	var pairs []fabric.Pair
	cut, lossy := make(fabric.Matrix), make(fabric.Matrix)
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) }
	for i := range peers {
		for j := i + 1; j < peers; j++ {
			pair := fabric.Pair{From: at(i), To: at(j)}
			pairs = append(pairs, pair, pair.Back())
			for _, p := range []fabric.Pair{pair, pair.Back()} {
				cut[p] = fabric.Link{Drop: fabric.DropAll}
				lossy[p] = fabric.Link{Loss: 1}
			}
		}
	}
	for name, m := range map[string]fabric.Matrix{"cut": cut, "lossy": lossy} {
		got := sample(m, pairs, datagrams)
		cost := 0
		in := make(map[netip.Addr]int)
		for i := 0; i < len(got); i += 2 {
			if got[i+1] != got[i].Back() {
				t.Errorf("%s: %s without its way back", name, got[i])
			}
			in[got[i].From]++
			in[got[i].To]++
			cost += m.Cost(got[i]) + m.Cost(got[i+1])
		}
		if cost > datagrams && len(got) > 2 || len(got) < 2 {
			t.Errorf("%s: %d datagrams for %d pairs", name, cost, len(got))
		}
		if name == "cut" && (len(in) != peers || len(got) < 150) {
			t.Errorf("of %d peers %d are in the sample of %d pairs", peers, len(in), len(got))
		}
		for addr, n := range in {
			if name == "cut" && n > peers-1 {
				t.Errorf("%s is in %d pairs", addr, n)
			}
		}
	}
	few := pairs[:20]
	if got := sample(cut, few, datagrams); len(got) != len(few) {
		t.Errorf("%d of %d pairs", len(got), len(few))
	}
	if got := sample(cut, nil, datagrams); len(got) != 0 {
		t.Errorf("of none: %v", got)
	}
	if got := sample(cut, few, 1); len(got) != 2 {
		t.Errorf("for next to nothing: %v", got)
	}
}
