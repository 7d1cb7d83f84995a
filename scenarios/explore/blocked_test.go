package explore

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/peer"
	"peerlab/testbed"
	"peerlab/testbed/sim"
)

// TestBlocked has peers wait for a lock that nobody gives back when they find
// another dead: the search ends with that, as a finding with the line of the
// schedule and who waits where.
func TestBlocked(t *testing.T) {
	var gate sync.Mutex
	gate.Lock()
	begun, ended := 0, make(chan bool, 10)
	defer func() {
		gate.Unlock()
		for range begun {
			<-ended // what was left behind
		}
	}()
	host := func(ctx context.Context, seed uint64, do func(context.Context, testbed.Factory) error) error {
		begun++
		return sim.RunChanged(ctx, seed, func(c *peer.Config) {
			observe := c.Observe
			c.Observe = func(e event.Event) {
				if e.Kind == event.MemberDead {
					gate.Lock()
					defer gate.Unlock()
				}
				observe(e)
			}
		}, func(ctx context.Context, f testbed.Factory) error {
			defer func() { ended <- true }()
			return do(ctx, f)
		})
	}
	sum, err := Search(t.Context(), Options{
		Shape: Shape{Peers: 4, For: 4 * time.Minute}, Host: host, Seed: 1, Runs: 5, Shrinking: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	f := sum.Finding
	if f == nil {
		t.Fatalf("%d schedules passed", sum.Done)
	}
	if !strings.Contains(f.Why, "deadlock") || !strings.Contains(f.Why, "after lab.mark "+name+":") {
		t.Errorf("why: %q", f.Why)
	}
	if f.Tried != 0 || f.Lines != f.Of || f.Lines != lines(f.Text) {
		t.Errorf("%d of %d lines after %d more runs: want the schedule as it was, each run of it leaves its peers behind", f.Lines, f.Of, f.Tried)
	}
	for _, part := range []string{"the driver: ", "alice: ", "explore.TestBlocked", "for a lock"} {
		if !strings.Contains(f.Story, part) {
			t.Errorf("not said: %q, but\n%s", part, f.Story)
		}
	}
	if strings.Contains(f.Story, "synctest bubble") {
		t.Errorf("a dump:\n%s", f.Story)
	}
}
