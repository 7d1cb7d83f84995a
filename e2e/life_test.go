package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/observe/theory"
	"peerlab/testbed"
)

// TestLife takes one cluster through what can happen to one peer of it. Each
// step needs the one before.
func TestLife(t *testing.T) {
	t.Parallel()
	c := newCluster(t, rejoinEvery, append(slices.Clone(five), impostor)...)
	step := func(name string, f func(t *testing.T)) {
		if !t.Run(name, f) {
			t.FailNow()
		}
	}
	step("five converge", func(t *testing.T) {
		c.start(t, five...)
		began := time.Now()
		c.awaitFive(t, 30*time.Second)
		t.Logf("each of five sees all five %s after the last was started", since(began))
		c.await(t, 10*time.Second, "each is ready", reported(0, five, func(e event.Event) bool { return e.Kind == event.PeerReady }))
		for _, name := range five {
			c.checkMembers(t, name)
			if err := c.health(t, name); err != nil {
				t.Errorf("%s is not healthy: %v", name, err)
			}
		}
	})
	const text = "hello, everyone: grüße 'quoted' 🌍"
	step("a message reaches all", func(t *testing.T) {
		mark := c.mark()
		began := time.Now()
		c.ask(t, "alice", "msg", "-wait", text)
		c.await(t, 10*time.Second, "all others deliver it", reported(mark, others("alice"), func(e event.Event) bool {
			return e.Kind == event.ChatDelivered && e.Member == "alice" && e.Text == text
		}))
		t.Logf("all others had it %s after it was typed", since(began))
	})
	step("a pause shorter than the suspicion minimum kills nobody", func(t *testing.T) {
		mark := c.mark()
		pause := predicted.SuspicionMin() * 3 / 4
		c.pause(t, "dave")
		c.hold(t, pause, "nobody is dead during the pause", nobodyDies(mark))
		c.resume(t, "dave")
		c.awaitFive(t, predicted.SuspicionMax())
		c.hold(t, predicted.ProbeInterval+predicted.SuspicionMin(), "nobody is dead after the pause", nobodyDies(mark))
		c.awaitFive(t, predicted.SuspicionMax())
	})
	step("a name is taken once", func(t *testing.T) {
		mark := c.mark()
		code, said := c.impostor(t)
		if code != "1" || len(said) != 1 || !strings.Contains(said[0], "the name bob is taken") {
			t.Errorf("a second bob ended with exit code %s and said %q", code, said)
		}
		c.hold(t, predicted.SuspicionMin(), "nobody is disturbed", nobody(mark, func(e event.Event) bool {
			return e.Peer != impostor && (e.Kind == event.MemberDead || e.Kind == event.MemberLeft || e.Kind == event.MemberJoin)
		}))
		c.awaitFive(t, predicted.SuspicionMax())
	})
	step("SIGTERM is left", func(t *testing.T) {
		mark := c.mark()
		took := c.stop(t, "erin")
		if took > 5*time.Second {
			t.Errorf("erin took %s to leave, more than 5s", took)
		}
		c.await(t, 5*time.Second, "all others hold erin left", sees(others("erin"), "left", "erin"))
		c.hold(t, predicted.SuspicionMin(), "nobody takes it for a failure", nobody(mark, func(e event.Event) bool {
			return e.Member == "erin" && (e.Kind == event.MemberSuspect || e.Kind == event.MemberDead)
		}))
		if missing, _ := c.check(reported(mark, []string{"erin"}, func(e event.Event) bool { return e.Kind == event.PeerStopping })); missing != "" {
			t.Errorf("erin left without a %s event", event.PeerStopping)
		}
		t.Logf("erin left within %s", took.Round(time.Millisecond))
	})
	step("who has left comes back", func(t *testing.T) {
		c.start(t, "erin")
		c.awaitFive(t, rejoinMost+grace)
	})
	step("SIGKILL is dead", func(t *testing.T) {
		mark := c.mark()
		killed := c.kill(t, "erin")
		c.await(t, predicted.AllDead().Most+2*grace, "all others hold erin dead", sees(others("erin"), "dead", "erin"))
		checkDetection(t, c.since(mark), "erin", others("erin"), killed)
	})
	step("who was killed comes back at its address", func(t *testing.T) {
		mark := c.mark()
		c.start(t, "erin")
		began := time.Now()
		c.awaitFive(t, rejoinMost+grace)
		t.Logf("erin was back %s after its start", since(began))
		c.hold(t, predicted.ProbeInterval+predicted.SuspicionMin(), "nobody dies of it", nobodyDies(mark))
		c.awaitFive(t, predicted.SuspicionMax())
		c.checkMembers(t, "alice")
	})
	step("nobody got the message twice", func(t *testing.T) {
		delivered := make(map[string]int)
		for _, e := range c.since(0) {
			if e.Kind == event.ChatDelivered && e.Text == text {
				delivered[e.Peer]++
			}
		}
		for peer, times := range delivered {
			if times != 1 {
				t.Errorf("%s delivered it %d times", peer, times)
			}
		}
	})
}

// since is the time since began as it is logged.
func since(began time.Time) time.Duration { return time.Since(began).Round(time.Millisecond) }

// nobodyDies holds as long as nobody is held dead by anybody after mark.
func nobodyDies(mark int) condition {
	return nobody(mark, func(e event.Event) bool { return e.Kind == event.MemberDead })
}

// checkMembers compares what a peer answers with what its events told.
func (c *cluster) checkMembers(t *testing.T, name string) {
	t.Helper()
	var members []struct {
		Name, Addr, State string
		Incarnation       uint32
	}
	answer := c.ask(t, name, "members", "-format", "json")
	if err := json.Unmarshal([]byte(answer), &members); err != nil {
		t.Fatalf("%s answers %q: %v", name, answer, err)
	}
	c.await(t, 5*time.Second, "events of "+name+" tell what members shows", func(h *history) string {
		for _, m := range members {
			if told := h.held(name, m.Name); told != (held{m.State, m.Addr, m.Incarnation}) {
				return fmt.Sprintf("events tell %v, members shows %v", told, m)
			}
		}
		if told := h.view.Members(name); len(told) != len(members) {
			return fmt.Sprintf("events tell of %d, members shows %d", len(told), len(members))
		}
		return ""
	})
}

// checkDetection compares when the observers held a member dead with theory.
func checkDetection(t *testing.T, events []event.Event, member string, observers []string, failed time.Time) {
	t.Helper()
	var after []time.Duration
	for _, observer := range observers {
		i := slices.IndexFunc(events, func(e event.Event) bool {
			return e.Peer == observer && e.Kind == event.MemberDead && e.Member == member
		})
		if i < 0 {
			t.Fatalf("%s never held %s dead", observer, member)
		}
		after = append(after, events[i].Time.Sub(failed))
	}
	slices.Sort(after)
	checkBand(t, "first held "+member+" dead", after[0], predicted.FirstDead())
	checkBand(t, "last held "+member+" dead", after[len(after)-1], predicted.AllDead())
}

// checkBand fails the test when a time is not what theory says.
func checkBand(t *testing.T, what string, measured time.Duration, band theory.Band) {
	t.Helper()
	ms := time.Millisecond
	t.Logf("%s after %s; theory %s, within %s to %s", what,
		measured.Round(ms), band.Expected.Round(ms), band.Least.Round(ms), band.Most.Round(ms))
	if !band.Contains(measured, grace) {
		t.Errorf("%s after %s, out of the band", what, measured)
	}
}

// impostor starts the second bob and returns its exit code and what it said
// besides its log.
func (c *cluster) impostor(t *testing.T) (code string, said []string) {
	t.Helper()
	mark := c.mark()
	c.start(t, impostor)
	c.await(t, 20*time.Second, "the second bob ends", func(h *history) string {
		for _, e := range h.events[mark:] {
			if e.Kind == testbed.LabExit && e.Member == impostor {
				code = e.Text
				return ""
			}
		}
		return "it runs"
	})
	var errs bytes.Buffer
	if err := c.Logs(t.Context(), impostor, false, io.Discard, &errs); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(errs.String()) {
		if !strings.HasPrefix(line, "time=") {
			said = append(said, line)
		}
	}
	return code, said
}
