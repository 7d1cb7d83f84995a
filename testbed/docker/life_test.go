package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// await waits until a reported event after the first n matches.
func await(t *testing.T, c *Cluster, n int, what string, matches func(event.Event) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		events, err := c.History().Read(ctx, n)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if slices.ContainsFunc(events, matches) {
			return
		}
		n += len(events)
	}
}

func about(peer string, kind event.Kind, member string) func(event.Event) bool {
	return func(e event.Event) bool { return e.Peer == peer && e.Kind == kind && e.Member == member }
}

// TestLife takes one cluster through what can be done to a peer. Each step
// needs the one before.
func TestLife(t *testing.T) {
	t.Parallel()
	trio := []string{"alice", "bob", "charly"}
	o := options(trio...)
	began := time.Now()
	c := create(t, o)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Start(ctx, testbed.Bootstrap))
	must(c.Start(ctx, trio...))
	t.Logf("created and started in %s", time.Since(began).Round(time.Millisecond))
	for _, other := range trio[1:] {
		await(t, c, 0, "alice sees "+other, about("alice", event.MemberJoin, other))
	}
	t.Logf("alice saw all %s after the first request", time.Since(began).Round(time.Millisecond))

	var out bytes.Buffer
	must(c.Exec(ctx, "alice", "members -format json", testbed.Input{}, &out))
	if !strings.Contains(out.String(), `"bob"`) {
		t.Errorf("alice does not tell of bob:\n%s", &out)
	}
	if err := c.Exec(ctx, "alice", "membres", testbed.Input{}, &out); !errors.As(err, new(*testbed.CommandError)) || !strings.Contains(err.Error(), "members") {
		t.Errorf("unknown command: %v", err)
	}

	// Paused, before a line is run and while one runs.
	must(c.Pause(ctx, "bob"))
	asked := time.Now()
	if err := c.Exec(ctx, "bob", "members", testbed.Input{}, &out); !errors.Is(err, testbed.ErrPaused) || time.Since(asked) > 2*time.Second {
		t.Errorf("a paused peer: %v after %s", err, time.Since(asked))
	}
	must(c.Resume(ctx, "bob"))
	mark := c.History().Len()
	running := make(chan error, 1)
	go func() { running <- c.Exec(ctx, "bob", "monitor", testbed.Input{}, writer(func([]byte) {})) }()
	must(c.Exec(ctx, "alice", "msg hello", testbed.Input{}, &out))
	await(t, c, mark, "bob delivers", func(e event.Event) bool { return e.Peer == "bob" && e.Kind == event.ChatDelivered })
	must(c.Pause(ctx, "bob"))
	asked = time.Now()
	if err := <-running; !errors.Is(err, testbed.ErrPaused) || time.Since(asked) > 2*time.Second {
		t.Errorf("a peer paused meanwhile: %v after %s", err, time.Since(asked))
	}

	// A paused one is killed like any other, and all it said is there.
	mark = c.History().Len()
	must(c.Kill(ctx, "bob"))
	if err := c.Kill(ctx, "bob"); !errors.Is(err, testbed.ErrStopped) {
		t.Errorf("kill a dead one: %v", err)
	}
	await(t, c, mark, "alice finds bob dead", about("alice", event.MemberDead, "bob"))
	if err := c.Exec(ctx, "bob", "members", testbed.Input{}, &out); !errors.Is(err, testbed.ErrStopped) {
		t.Errorf("a dead peer: %v", err)
	}

	// Back where it was, then somewhere else.
	before := peerOf(t, c, "bob")
	if before.State != testbed.Stopped || before.Exit != 137 {
		t.Errorf("after SIGKILL: %+v", before)
	}
	mark = c.History().Len()
	must(c.Start(ctx, "bob"))
	await(t, c, mark, "alice sees bob again", about("alice", event.MemberJoin, "bob"))
	if after := peerOf(t, c, "bob"); after.Addr != before.Addr {
		t.Errorf("bob came back at %s, was at %s", after.Addr, before.Addr)
	}
	if _, err := c.Move(ctx, "bob"); !errors.Is(err, testbed.ErrRunning) {
		t.Errorf("move a running peer: %v", err)
	}
	mark = c.History().Len()
	must(c.Stop(ctx, "bob"))
	if !slices.ContainsFunc(c.since(mark), about("bob", event.PeerStopping, "")) {
		t.Error("bob's last event is not in the history when Stop returns")
	}
	addr, err := c.Move(ctx, "bob")
	must(err)
	must(c.Start(ctx, "bob"))
	await(t, c, mark, "alice sees bob at "+addr.String(), func(e event.Event) bool {
		return e.Peer == "alice" && e.Member == "bob" && strings.HasPrefix(e.Addr, addr.String()+":")
	})
	if addr == before.Addr || peerOf(t, c, "bob").Addr != addr {
		t.Errorf("bob moved from %s to %s and is at %s", before.Addr, addr, peerOf(t, c, "bob").Addr)
	}

	// A throttle is seen by the kernel and lifted again.
	for _, cpus := range []float64{0.05, 0} {
		must(c.Throttle(ctx, cpus, "charly"))
		want := int64(cpus * 100_000)
		if cpus == 0 {
			want = -1
		}
		if got := quota(t, c, "charly"); got != want {
			t.Errorf("charly has a quota of %d, want %d", got, want)
		}
	}
	for _, cpus := range []float64{-1, 0.001, 1e9} {
		if c.Throttle(ctx, cpus, "charly") == nil {
			t.Errorf("a throttle to %g processors is accepted", cpus)
		}
	}
	must(c.Stop(ctx, testbed.Bootstrap))
	must(c.Start(ctx, testbed.Bootstrap))
	if err := c.Kill(ctx, "alice", "chalry"); !errors.Is(err, testbed.ErrNoPeer) || !strings.Contains(err.Error(), "charly?") {
		t.Errorf("kill one that is and one that is not: %v", err)
	}
	if peerOf(t, c, "alice").State != testbed.Running {
		t.Error("alice was killed together with one that is not there")
	}
	checkComplete(t, c)
}

// since is the history from a mark.
func (c *Cluster) since(mark int) []event.Event {
	events, _ := c.History().Since(mark)
	return events
}

// checkComplete compares what this engine has read as it came, over all lives,
// with what another one reads afterwards, and looks for gaps.
func checkComplete(t *testing.T, c *Cluster) {
	t.Helper()
	ctx := t.Context()
	if err := c.Stop(ctx, "alice", "bob", "charly"); err != nil {
		t.Fatal(err)
	}
	again, err := Find(ctx, daemon, c.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close(ctx)
	await(t, again, 0, "the second reader gets to the end", about("bob", event.PeerStopping, ""))
	members, err := daemon.List(ctx, c.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if err := again.recorder.Drain(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	byPeer := func(c *Cluster) map[string][]string {
		of := make(map[string][]string)
		for _, e := range c.since(0) {
			if e.Kind == testbed.LabError && !isForgotten(e) { // by a host that is busy
				t.Errorf("%s: %s", e.Member, e.Error)
			}
			if e.Peer != testbed.Lab {
				of[e.Peer] = append(of[e.Peer], fmt.Sprintf("%d %s %s", e.Seq, e.Kind, e.Member))
			}
		}
		return of
	}
	live, later := byPeer(c), byPeer(again)
	for _, name := range []string{"alice", "bob", "charly"} {
		if !slices.Equal(live[name], later[name]) {
			t.Errorf("%s: %d events as they came, %d afterwards", name, len(live[name]), len(later[name]))
		}
	}
	lives := 0
	for _, e := range live["bob"] {
		if strings.HasPrefix(e, "1 peer.started") {
			lives++
		}
	}
	if lives != 3 {
		t.Errorf("bob had %d lives, want 3", lives)
	}
	t.Logf("%d events of peers, none lost", len(live["alice"])+len(live["bob"])+len(live["charly"]))
}

func peerOf(t *testing.T, c *Cluster, name string) testbed.Peer {
	t.Helper()
	peers, err := c.Peers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range peers {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no %s in %v", name, peers)
	return testbed.Peer{}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

// TestPauseAmidLines pauses a peer while lines begin in it. One that the pause
// met before it was a process would block the peer for good.
func TestPauseAmidLines(t *testing.T) {
	t.Parallel()
	c := up(t, options("alice"))
	await(t, c, 0, "alice is ready", about("alice", event.PeerReady, ""))
	for range 12 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		ended := make(chan error, 3)
		for range cap(ended) {
			go func() { ended <- c.Exec(ctx, "alice", "members", testbed.Input{}, io.Discard) }()
		}
		<-time.After(rand.N(60 * time.Millisecond)) // an instant at random, not an event
		err := c.Pause(ctx, "alice")
		for range cap(ended) {
			if err := <-ended; err != nil && !errors.Is(err, testbed.ErrPaused) {
				t.Errorf("a line: %v", err)
			}
		}
		if err := errors.Join(err, c.Resume(ctx, "alice")); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
}
