package e2e

import (
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/terminal/tmux"
)

// TestShellInAContainer types into a shell inside a running peer, as a person
// with a terminal does.
func TestShellInAContainer(t *testing.T) {
	t.Parallel()
	trio := []string{"alice", "bob", "charly"}
	c := newCluster(t, rejoinEvery, trio...)
	c.start(t, trio...)
	c.await(t, 30*time.Second, "each sees all", sees(trio, "alive", trio...))
	for _, other := range trio[1:] {
		c.await(t, 10*time.Second, other+" is in the chat", reported(0, []string{"alice"}, func(e event.Event) bool {
			return e.Kind == event.ChatJoin && e.Member == other
		}))
	}
	attach := "docker exec -it " + c.container("alice") + " /peer attach"
	// A shell around it, to see that leaving ends the attached one alone.
	m := tmux.Start(t, 90, 30, "PS1='$ ' sh")
	m.Shows("$ ▏")
	m.Send(attach, "Enter")
	m.Shows("alice> ▏")

	// Completion of commands, flags and live peers.
	m.Send("reach", "Tab", "b", "Tab", "-f", "Tab", "j", "Tab")
	m.Shows("alice> reachability bob -format json ▏")
	m.Send("Enter")
	m.Contains(`"udp": "`)
	m.Send("chat ping ", "Tab")
	m.Shows("bob     charly", "alice> chat ping ▏")
	m.Send("ch", "Tab", "Enter")
	m.Contains("charly  ")

	// A message arrives while a line is being typed, before and after the
	// window has changed its size.
	m.Send("-l", "msg half a line")
	m.Shows("alice> msg half a line▏")
	c.ask(t, "bob", "msg", "hello, alice \x1b[2J")
	m.Shows("<bob> hello, alice �[2J", "alice> msg half a line▏")
	m.Run("resize-window", "-x", "60", "-y", "20")
	m.Send("-l", ", continued")
	m.Shows("alice> msg half a line, continued▏")
	c.ask(t, "charly", "msg", "and from me")
	m.Shows("<charly> and from me", "alice> msg half a line, continued▏")
	mark := c.mark()
	m.Send("Enter")
	c.await(t, 10*time.Second, "bob gets the line", reported(mark, []string{"bob"}, func(e event.Event) bool {
		return e.Kind == event.ChatDelivered && e.Text == "half a line, continued"
	}))

	// Ctrl-C ends what runs, then clears the line, and never the peer.
	m.Send("monitor", "Enter")
	c.ask(t, "bob", "msg", "watched")
	m.Contains("chat.delivered")
	m.Send("C-c")
	m.Contains("^C")
	m.Send("not this", "C-c", "C-c")
	m.Contains("the peer keeps running")

	// History, in this session and the next.
	m.Send("Up", "Up")
	m.Shows("alice> msg half a line, continued▏")
	m.Send("C-u", "C-d")
	m.Shows("$ ▏")
	m.Send("clear; "+attach, "Enter")
	m.Shows("alice> ▏")
	m.Send("C-r", "half")
	m.Contains("half a line, continued")
	m.Send("C-c")

	// A second person at the same peer; a paused peer says so to both.
	other := tmux.Start(t, 90, 30, attach)
	other.Shows("alice> ▏")
	other.Send("-l", "msg seen by both")
	other.Send("Enter")
	m.Contains("<alice> seen by both")
	c.pause(t, "alice")
	if out := c.ask(t, "bob", "members", "alice"); !strings.Contains(out, "alice") {
		t.Errorf("bob does not know alice:\n%s", out)
	}
	c.resume(t, "alice")
	other.Send("echo two of us", "Enter")
	other.Contains("\ntwo of us")
	if err := c.health(t, "alice"); err != nil {
		t.Errorf("alice does not run any more: %v", err)
	}
}
