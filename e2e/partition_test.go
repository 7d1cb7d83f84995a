package e2e

import (
	"slices"
	"testing"
	"time"

	"peerlab/event"
)

// cut is how long the partitions here last: until after everybody holds
// everybody on another side dead, and has forgotten it.
const cut = 60 * time.Second

// TestPartition takes two peers off the network, each for itself, so that
// there are three sides. memberlist contacts nobody it holds dead: without
// rejoin the sides stay apart for good (hashicorp/memberlist#222).
func TestPartition(t *testing.T) {
	t.Parallel()
	t.Run("heals with rejoin", func(t *testing.T) {
		t.Parallel()
		c := newFive(t, rejoinEvery)
		partition(t, c)
		healed := time.Now()
		c.reconnect(t, "dave")
		c.reconnect(t, "erin")
		// Each side knows whom it lost. A round may just have missed the
		// network, and what was found then spreads by gossip.
		c.awaitFive(t, 2*rejoinMost+predicted.AllDead().Expected-predicted.FirstDead().Expected+grace)
		t.Logf("each saw all five %s after the network was back", since(healed))
		c.ask(t, "dave", "msg", "-wait", "back again")
	})
	t.Run("stays split without rejoin", func(t *testing.T) {
		t.Parallel()
		c := newFive(t, 0)
		partition(t, c)
		mark := c.mark()
		c.reconnect(t, "dave")
		c.reconnect(t, "erin")
		for _, name := range []string{"dave", "erin"} {
			c.awaitNetwork(t, name)
		}
		c.hold(t, predicted.PushPullPeriod()+rejoinMost, "nobody comes back", nobody(mark, func(e event.Event) bool {
			return e.Kind == event.MemberJoin
		}))
		checkSplit(t, c)
	})
}

// sides are who sees whom during the partition.
var sides = [][]string{{"alice", "bob", "charly"}, {"dave"}, {"erin"}}

// partition cuts dave and erin off and returns when the time is over and all
// sides have lost each other.
func partition(t *testing.T, c *cluster) {
	t.Helper()
	mark := c.mark()
	began := time.Now()
	c.disconnect(t, "dave")
	c.disconnect(t, "erin")
	end := time.After(cut)

	majority := sides[0]
	c.await(t, predicted.AllDead().Most+2*grace, "the majority holds dave and erin dead", sees(majority, "dead", "dave", "erin"))
	checkDetection(t, c.since(mark), "dave", majority, began)
	c.await(t, predicted.IsolatedLast().Most+2*grace, "dave holds all others dead", func(h *history) string {
		return sees([]string{"dave"}, "dead unknown", others("dave")...)(h)
	})
	var dead []time.Duration
	for _, e := range c.since(mark) {
		if e.Peer == "dave" && e.Kind == event.MemberDead {
			dead = append(dead, e.Time.Sub(began))
		}
	}
	slices.Sort(dead)
	checkBand(t, "dave, cut off, held the first dead", dead[0], predicted.IsolatedFirst())
	checkBand(t, "dave, cut off, held the last dead", dead[len(dead)-1], predicted.IsolatedLast())
	select {
	case <-end:
	case <-t.Context().Done():
		t.FailNow()
	}
	checkSplit(t, c)
}

// awaitNetwork waits until a peer reaches the bootstrap service, which shows
// that its network is back indeed.
func (c *cluster) awaitNetwork(t *testing.T, name string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, err := c.exec(t, name, "exec", "--", "bootstrap", "list")
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s has no network: %v", name, err)
		}
	}
}

// checkSplit fails the test unless each side sees itself and nobody else.
func checkSplit(t *testing.T, c *cluster) {
	t.Helper()
	for _, side := range sides {
		if missing, _ := c.check(sees(side, "alive", side...)); missing != "" {
			t.Errorf("within a side: %s", missing)
		}
		if missing, _ := c.check(sees(side, "dead unknown", others(side...)...)); missing != "" {
			t.Errorf("across the cut: %s", missing)
		}
	}
}
