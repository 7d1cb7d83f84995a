package e2e

import (
	"testing"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// TestBootstrapOutage takes the bootstrap service away from a running cluster
// and from a peer that needs it.
func TestBootstrapOutage(t *testing.T) {
	t.Parallel()
	c := newCluster(t, rejoinEvery, five...)
	four := others("erin")
	c.start(t, four...)
	c.await(t, 30*time.Second, "each of four sees all four", sees(four, "alive", four...))
	c.stop(t, testbed.Bootstrap)

	mark := c.mark()
	c.ask(t, "alice", "msg", "-wait", "who needs a bootstrap service?")
	c.await(t, 10*time.Second, "the chat goes on", reported(mark, others("alice", "erin"), func(e event.Event) bool {
		return e.Kind == event.ChatDelivered && e.Member == "alice"
	}))

	mark = c.mark()
	c.start(t, "erin")
	c.await(t, 10*time.Second, "erin tells that nobody answers", reported(mark, []string{"erin"}, func(e event.Event) bool {
		return e.Kind == event.BootstrapError
	}))
	if err := c.health(t, "erin"); err == nil {
		t.Error("erin says it is healthy without having joined")
	}
	// Long enough for several tries. That erin makes them shows when one
	// succeeds.
	c.hold(t, 10*time.Second, "erin is alone", sees([]string{"erin"}, "unknown", four...))
	c.hold(t, 0, "the others are not disturbed", sees(four, "alive", four...))

	c.start(t, testbed.Bootstrap)
	back := time.Now()
	// The service has forgotten everyone. Whoever asks next registers: erin
	// after a pause of at most 5 s, of the others one in a rejoin interval.
	c.awaitFive(t, 6*rejoinMost)
	t.Logf("each saw all five %s after the service was back", since(back))
	c.await(t, 10*time.Second, "erin is ready", reported(mark, []string{"erin"}, func(e event.Event) bool { return e.Kind == event.PeerReady }))
	if err := c.health(t, "erin"); err != nil {
		t.Errorf("erin is not healthy after it has joined: %v", err)
	}
}
