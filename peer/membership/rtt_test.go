package membership_test

import (
	"testing"
	"time"

	"peerlab/event"
)

// Acks of real probes carry coordinates: every member comes to know about the
// other two.
func TestAcksCarryCoordinates(t *testing.T) {
	a, b, c := start(t, "a"), start(t, "b"), start(t, "c")
	a.join(t, b, c)
	b.awaitKind(t, event.MemberJoin, "c")
	tick := time.NewTicker(10 * time.Millisecond) // no event tells of a probe
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for _, n := range []node{a, b, c} {
		for _, pair := range [][2]string{{"a", "b"}, {"b", "c"}, {"c", "a"}} {
			for {
				if d, ok := n.RTT(pair[0], pair[1]); ok && d > 0 && d < time.Second {
					break
				}
				select {
				case <-tick.C:
				case <-deadline:
					t.Fatalf("%s has no estimate for %v", n.Name(), pair)
				}
			}
		}
	}
	if _, ok := a.RTT("a", "nobody"); ok {
		t.Error("an estimate for nobody")
	}
}
