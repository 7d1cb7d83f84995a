package docker

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/testbed"
	"peerlab/testbed/docker/adapter"
	"peerlab/testbed/docker/dockertest"
)

// TestSerf runs five agents of HashiCorp's Serf, partitions them and heals.
func TestSerf(t *testing.T) {
	needDocker(t)
	t.Parallel()
	ref, err := dockertest.BuildSerf(t.Context(), "../..", guard.Labels())
	if err != nil {
		t.Fatal(err)
	}
	all := []string{"alice", "bob", "charly", "dave", "erin"}
	left, right := all[:2], all[2:]
	c := create(t, Options{Peers: all, PeerImage: ref, Adapter: adapter.Serf{}})
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Start(ctx, all...))
	seen := newSights(t, c)
	seen.until("all see all alive", all, all, observe.Alive)

	var out bytes.Buffer
	must(c.Exec(ctx, "dave", "members -format=json", testbed.Input{}, &out))
	for _, name := range all {
		if !strings.Contains(out.String(), `"`+name+`"`) {
			t.Errorf("dave's members lack %s:\n%s", name, &out)
		}
	}
	if _, err := c.Attach(ctx, "dave", Terminal{}); err == nil || !strings.Contains(err.Error(), "no shell") {
		t.Errorf("attach: %v", err)
	}

	must(c.SetLinks(ctx, partition(t, left, right)))
	seen.until("left sees right fail", left, right, observe.Dead)
	seen.until("right sees left fail", right, left, observe.Dead)
	seen.until("left sees left alive", left, left, observe.Alive)
	must(c.SetLinks(ctx, nil))
	// Serf tries to reconnect to one who failed every half minute.
	seen.until("all see all again", all, all, observe.Alive)

	// One that leaves, one that is killed and comes back through the others.
	must(c.Stop(ctx, "erin"))
	seen.until("erin has left", all[:4], all[4:], observe.Left)
	must(c.Kill(ctx, "alice"))
	seen.until("alice has failed", right[:2], []string{"alice"}, observe.Dead)
	mark := c.History().Len()
	must(c.Start(ctx, "alice"))
	await(t, c, mark, "alice sees dave again", about("alice", event.MemberJoin, "dave"))
	seen.until("alice is seen", all[:4], []string{"alice"}, observe.Alive)
	for _, e := range c.since(0) {
		if e.Kind == testbed.LabError {
			t.Errorf("%s: %s", e.Member, e.Error)
		}
	}
}

// sights follow whom each peer holds to be what.
type sights struct {
	t    *testing.T
	c    *Cluster
	view *observe.View
	read int
}

func newSights(t *testing.T, c *Cluster) *sights { return &sights{t, c, observe.NewView(), 0} }

// until waits until each of who holds each of whom to be in a state.
func (s *sights) until(what string, who, whom []string, state observe.State) {
	s.t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	all := func() bool {
		for _, a := range who {
			for _, b := range whom {
				if s.view.State(a, b) != state {
					return false
				}
			}
		}
		return true
	}
	for !all() {
		events, err := s.c.History().Read(ctx, s.read)
		if err != nil {
			s.t.Fatalf("%s: %v", what, err)
		}
		s.read += len(events)
		for _, e := range events {
			s.view.Add(e)
		}
	}
	s.t.Logf("%s after %s", what, time.Since(began).Round(time.Millisecond))
}
