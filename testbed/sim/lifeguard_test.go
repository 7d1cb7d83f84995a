package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"peerlab/event"
)

// TestLifeguard has the anomaly of the Lifeguard paper (Dadgar, Phillips,
// Currey: Lifeguard: Local Health Awareness for More Accurate Failure Detection,
// DSN-W 2018): 32 of 100 peers whose sends and receives block for 16 s of every
// 16.256 s, over and over, while their timers run. Without Lifeguard, that is,
// without its local health multiplier and with a suspicion timeout that does not
// grow, the slow accuse the healthy, who are found dead; with it they seldom are.
// Without rejoin: with it, each slow peer contacts whom it holds dead, at each
// breath, and its table makes others suspect the same ones, who thus are found
// dead a thousand times with Lifeguard too.
func TestLifeguard(t *testing.T) {
	if testing.Short() {
		// make unit runs it without the race detector only, under which it takes
		// two minutes of a processor and 0.9 GB.
		t.Skip("a hundred peers, twice")
	}
	without := falsePositives(t, "SuspicionMult=5,AwarenessMaxMultiplier=1,SuspicionMaxTimeoutMult=1")
	with := falsePositives(t, "SuspicionMult=5")
	t.Logf("false positives: %d without Lifeguard, %d with it", without, with)
	if without < 500 || without < 10*with {
		t.Errorf("false positives: %d without Lifeguard, %d with it: want 500 or more, and ten times as many", without, with)
	}
}

// falsePositives counts how often somebody found one of the healthy dead.
func falsePositives(t *testing.T, set string) (n int) {
	t.Helper()
	const all, slow = 100, 32
	simulate(t, all, map[string]string{"no-chat": "true", "rejoin": "0", "phase": "aligned", "set": set}, func(l *lab) {
		l.up()
		time.Sleep(time.Minute)
		stalled := l.names[:slow]
		at := l.History().Len()
		for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(256 * time.Millisecond) {
			l.must(l.Pause(l.ctx, stalled...))
			time.Sleep(16 * time.Second)
			l.must(l.Resume(l.ctx, stalled...))
		}
		kinds := map[string]int{}
		for _, e := range l.since(at, event.MemberDead) {
			a, b := "healthy", "healthy"
			if slices.Contains(stalled, e.Peer) {
				a = "stalled"
			}
			if slices.Contains(stalled, e.Member) {
				b = "stalled"
			} else {
				n++
			}
			kinds[fmt.Sprintf("%s by %s", b, a)]++
		}
		l.t.Logf("%s: found dead: %v", set, kinds)
	})
	return n
}
