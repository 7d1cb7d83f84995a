package e2e

import (
	"testing"
	"time"

	"peerlab/event"
)

// TestLongPause freezes a peer for so long that the others have forgotten it
// when it goes on. It still holds them alive, so it is the one to find them.
func TestLongPause(t *testing.T) {
	t.Parallel()
	const pause = 30 * time.Second
	c := newFive(t, rejoinEvery)
	mark := c.mark()
	paused := c.pause(t, "dave")
	end := time.After(pause)
	c.await(t, predicted.AllDead().Most+2*grace, "all others hold dave dead", sees(others("dave"), "dead", "dave"))
	checkDetection(t, c.since(mark), "dave", others("dave"), paused)
	select {
	case <-end:
	case <-t.Context().Done():
		return
	}
	if missing, _ := c.check(sees(others("dave"), "dead unknown", "dave")); missing != "" {
		t.Fatalf("before it goes on: %s", missing)
	}
	mark = c.mark()
	resumed := time.Now()
	c.resume(t, "dave")
	// Its own push/pull is all it takes; rejoin only makes it sooner.
	c.awaitFive(t, predicted.PushPullPeriod()+grace)
	t.Logf("each saw all five %s after dave went on", since(resumed))
	c.hold(t, predicted.ProbeInterval+predicted.SuspicionMin(), "nobody dies of what dave slept through", nobodyDies(mark))
	c.awaitFive(t, predicted.SuspicionMax())
}

// TestNewAddress kills a peer and starts it elsewhere under its name, at once.
// The others refuse it until they have held the old one dead and forgotten it:
// only the exchange of states after that, a rejoin's or a push/pull, brings it
// in.
func TestNewAddress(t *testing.T) {
	t.Parallel()
	c := newFive(t, rejoinEvery)
	mark := c.mark()
	killed := c.kill(t, "erin")
	moved, err := c.Move(t.Context(), "erin")
	if err != nil {
		t.Fatal(err)
	}
	c.start(t, "erin")
	addr := moved.String() + ":7946"
	forgotten := func(e event.Event) bool { return e.Kind == event.MemberReap && e.Member == "erin" }

	c.await(t, predicted.AllDead().Most+predicted.Forgotten(4).Most+2*grace, "all others forget where erin was",
		reported(mark, others("erin"), forgotten))
	checkDetection(t, c.since(mark), "erin", others("erin"), killed)
	began := time.Now()
	c.await(t, rejoinMost+grace, "all others hold erin alive at "+addr, func(h *history) string {
		for _, observer := range others("erin") {
			if m := h.held(observer, "erin"); m.state != "alive" || m.addr != addr {
				return observer + " holds erin " + m.state + " at " + m.addr
			}
		}
		return ""
	})
	t.Logf("erin was back elsewhere %s after its end, %s after the last had forgotten the old one", since(killed), since(began))
	c.awaitFive(t, rejoinMost+grace)
	c.await(t, time.Second, "somebody reports the conflict", func(h *history) string {
		for _, e := range h.events[mark:] {
			if e.Kind == event.MemberConflict && e.Member == "erin" && e.Addr == addr {
				return ""
			}
		}
		return "nobody did"
	})
}
