package docker

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/fabric"
)

// addressed is the pair of two peers' addresses.
func addressed(t *testing.T, c *Cluster, from, to string) fabric.Pair {
	t.Helper()
	return fabric.Pair{From: peerOf(t, c, from).Addr, To: peerOf(t, c, to).Addr}
}

// across are the pairs between two groups, both ways.
func across(t *testing.T, c *Cluster, left, right []string) (pairs []fabric.Pair) {
	t.Helper()
	for _, a := range left {
		for _, b := range right {
			pair := addressed(t, c, a, b)
			pairs = append(pairs, pair, pair.Back())
		}
	}
	return pairs
}

// dropped is how many packets the rules in force have dropped of some pairs.
func dropped(t *testing.T, c *Cluster, pairs []fabric.Pair) (sum uint64) {
	t.Helper()
	counts, err := c.wires.client.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range pairs {
		sum += counts[pair].Dropped
	}
	return sum
}

// tried waits until more packets have been dropped than before.
func tried(t *testing.T, c *Cluster, pairs []fabric.Pair, before uint64) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); dropped(t, c, pairs) <= before; <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("nobody tries to send from %s to %s", pairs[0].From, pairs[0].To)
		}
	}
}

// hammer sends from a peer that runs to an address, whoever has it and whether
// or not anybody does, until the function is called.
func hammer(t *testing.T, c *Cluster, name string, to netip.Addr) (stop func()) {
	t.Helper()
	picked, err := c.pick(t.Context(), []string{name})
	if err != nil {
		t.Fatal(err)
	}
	probers, err := c.wires.probes.Probers(t.Context(), picked)
	if err != nil {
		t.Fatal(err)
	}
	from := picked[0].Addr
	probers[to] = probers[from] // where nothing arrives
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_, _ = fabric.Matrix{}.Measure(ctx, probers, []fabric.Pair{{From: from, To: to}})
		}
	}()
	return func() { cancel(); <-done }
}

// TestNoWindow cuts peers before they start, kills one and has it come back,
// and moves one: no packet gets through, as rules count that know nothing of
// the fabric's. That it was tried is known from what the fabric's have dropped.
func TestNoWindow(t *testing.T) {
	t.Parallel()
	left, right := []string{"alice", "bob"}, []string{"charly", "dave"}
	c := create(t, options(append(left, right...)...))
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	silent := func(w *tally, when string) {
		t.Helper()
		for pair, n := range w.saw(t) {
			if n > 0 {
				t.Errorf("%s: %d packets of %s came through", when, n, pair)
			}
		}
	}
	control := watch(t, addressed(t, c, "charly", "dave"))
	cross := watch(t, across(t, c, left, right)...)
	cut := partition(t, left, right)
	must(c.SetLinks(ctx, cut)) // of peers none of which runs
	// First those whom the bootstrap service is to name.
	must(c.Start(ctx, append(right, testbed.Bootstrap)...))
	await(t, c, 0, "charly sees dave", about("charly", event.MemberJoin, "dave"))
	stop := hammer(t, c, "charly", peerOf(t, c, "alice").Addr)
	must(c.Start(ctx, left...))
	there, back := across(t, c, left, []string{"charly"}), []fabric.Pair{addressed(t, c, "charly", "alice"), addressed(t, c, "charly", "bob")}
	there = slices.DeleteFunc(there, func(p fabric.Pair) bool { return slices.Contains(back, p) })
	tried(t, c, there, 0)
	tried(t, c, back, 0)
	silent(cross, "started while cut")
	stop()

	stop = hammer(t, c, "alice", peerOf(t, c, "charly").Addr)
	defer func() { stop() }()
	mark := c.History().Len()
	must(c.Kill(ctx, "charly"))
	await(t, c, mark, "dave finds charly dead", about("dave", event.MemberDead, "charly"))
	had, hadBack := dropped(t, c, there), dropped(t, c, back)
	mark = c.History().Len()
	must(c.Start(ctx, "charly"))
	await(t, c, mark, "dave sees charly again", about("dave", event.MemberJoin, "charly"))
	tried(t, c, there, had)
	stopBack := hammer(t, c, "charly", peerOf(t, c, "alice").Addr)
	tried(t, c, back, hadBack)
	stopBack()
	silent(cross, "killed and back")

	stop()
	must(c.Kill(ctx, "charly"))
	addr, err := c.Move(ctx, "charly")
	must(err)
	stop = hammer(t, c, "alice", addr)
	moved := watch(t, across(t, c, left, []string{"charly"})...)
	mark = c.History().Len()
	must(c.Start(ctx, "charly"))
	await(t, c, mark, "dave sees charly elsewhere", func(e event.Event) bool {
		return e.Peer == "dave" && e.Member == "charly" && strings.HasPrefix(e.Addr, addr.String()+":")
	})
	there = []fabric.Pair{addressed(t, c, "alice", "charly")}
	tried(t, c, there, 0)
	stopBack = hammer(t, c, "charly", peerOf(t, c, "alice").Addr)
	tried(t, c, []fabric.Pair{there[0].Back()}, 0)
	stopBack()
	silent(moved, "moved")
	if got, err := c.Links(ctx); err != nil || got.String() != cut.String() {
		t.Errorf("in force after a move: %s, %v", got, err)
	}
	if n := control.saw(t); n[control.pairs[0]] == 0 {
		t.Error("the count does not see what passes")
	}

	mark = c.History().Len()
	must(c.SetLinks(ctx, nil))
	await(t, c, mark, "alice sees charly", about("alice", event.MemberJoin, "charly"))
	if n := moved.saw(t); n[addressed(t, c, "alice", "charly")] == 0 {
		t.Error("healed, and no packet is counted")
	}
}

// TestPausedIsCut cuts and heals a paused peer, and kills it while it is cut.
func TestPausedIsCut(t *testing.T) {
	t.Parallel()
	c := up(t, options("alice", "bob"))
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Pause(ctx, "bob"))
	mark := c.History().Len()
	must(c.SetLinks(ctx, partition(t, []string{"alice"}, []string{"bob"})))
	must(c.SetLinks(ctx, nil))
	probes := 0
	for _, e := range c.since(mark) {
		if e.Kind == testbed.LabProbe {
			probes++
		}
	}
	if probes != 4 {
		t.Errorf("%d links were measured, want two cut and two healed", probes)
	}
	must(c.SetLinks(ctx, partition(t, []string{"alice"}, []string{"bob"})))
	must(c.Kill(ctx, "bob"))
	mark = c.History().Len()
	must(c.SetLinks(ctx, nil)) // of one that does not run: nothing to measure
	done := slices.DeleteFunc(slices.Clone(c.since(mark)), func(e event.Event) bool { return e.Peer != testbed.Lab })
	if len(done) != 1 || done[0].Kind != testbed.LabHeal {
		t.Errorf("healed: %+v", done)
	}
	// In its next life it is measured again, in a network that is another.
	must(c.Start(ctx, "bob"))
	must(c.SetLinks(ctx, partition(t, []string{"alice"}, []string{"bob"})))
}
