package e2e

import (
	"slices"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// cut is how long the partitions here last: until after everybody holds
// everybody on another side dead, and has forgotten it.
const cut = 60 * time.Second

// TestPartition takes two peers away from the others, each for itself, so that
// there are three sides: once their interfaces go, once their links drop all.
// memberlist contacts nobody it holds dead: without rejoin the sides stay apart
// for good (hashicorp/memberlist#222).
func TestPartition(t *testing.T) {
	t.Parallel()
	t.Run("heals with rejoin", func(t *testing.T) {
		t.Parallel()
		c := newFive(t, rejoinEvery)
		var plug func()
		partition(t, c, func() time.Time {
			began := time.Now()
			plug = c.unplug(t, "dave", "erin")
			return began
		})
		healed := time.Now()
		plug()
		// Each side knows whom it lost. A round may just have missed the
		// network, and what was found then spreads by gossip.
		c.awaitFive(t, 2*rejoinMost+predicted.AllDead().Expected-predicted.FirstDead().Expected+grace)
		t.Logf("each saw all five %s after the network was back", since(healed))
		c.ask(t, "dave", "msg", "-wait", "back again")
	})
	t.Run("stays split without rejoin", func(t *testing.T) {
		t.Parallel()
		c := newFive(t, 0)
		links, err := testbed.Partition(append([]string{testbed.Bootstrap}, sides[0]...), sides[1], sides[2])
		if err != nil {
			t.Fatal(err)
		}
		partition(t, c, func() time.Time { return c.setLinks(t, links) })
		mark := c.mark()
		c.setLinks(t, nil) // and it measures that they are healthy
		c.hold(t, predicted.PushPullPeriod()+rejoinMost, "nobody comes back", nobody(mark, func(e event.Event) bool {
			return e.Kind == event.MemberJoin
		}))
		checkSplit(t, c)
	})
}

// sides are who sees whom during the partition.
var sides = [][]string{{"alice", "bob", "charly"}, {"dave"}, {"erin"}}

// partition has f cut dave and erin off, which returns since when they are, and
// returns when the time is over and all sides have lost each other.
func partition(t *testing.T, c *cluster, f func() time.Time) {
	t.Helper()
	mark := c.mark()
	end := time.After(cut)
	began := f()

	majority := sides[0]
	c.await(t, predicted.AllDead().Most+2*grace, "the majority holds dave and erin dead", sees(majority, "dead", "dave", "erin"))
	checkDetection(t, c.since(mark), "dave", majority, began)
	c.await(t, predicted.IsolatedLast().Most+2*grace, "dave holds all others dead", sees([]string{"dave"}, "dead unknown", others("dave")...))
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
