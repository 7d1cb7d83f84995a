//go:build linux

package shell

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"peerlab/event"
	"peerlab/internal/terminal/tmux"
	"peerlab/peer/control"
)

// asShell in the environment makes the test binary a shell on the socket it
// names, for a terminal to start.
const asShell = "PEERLAB_TEST_SHELL"

func mainShell() int {
	client, err := control.Dial(os.Getenv(asShell))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer client.Close()
	attached, err := Attach(context.Background(), client)
	if err == nil {
		err = Run(context.Background(), Options{Peer: attached, HistoryFile: os.Getenv(asShell) + ".history"})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "failed:", err)
		return 1
	}
	return 0
}

func TestInTmux(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t).serve(t)
	// A shell around it, for its end and its history in a second session.
	m := tmux.Start(t, 72, 24, "PS1='$ ' "+asShell+"="+p.path+" sh")

	m.Shows("$ ▏")
	m.Send(self, "Enter")
	m.Shows("alice> ▏")
	m.Send("ech", "Tab", "hello", "Enter")
	m.Shows("alice> echo hello", "hello", "alice> ▏")
	m.Send("chat ", "Tab")
	m.Shows("join   leave", "alice> chat ▏")
	m.Send("C-c")
	m.Shows("alice> chat ^C", "alice> ▏")

	// A message while typing in the middle of a line that wraps, and after the
	// window has become narrower under it.
	long := "note " + strings.Repeat("0123456789", 7)
	m.Send("-l", long)
	m.Send("Left", "Left")
	m.Shows("alice> "+long[:65], long[65:73]+"▏89")
	p.log.Emit(event.Event{Kind: event.ChatDelivered, Member: "bob", Text: "hi"})
	m.Shows("<bob> hi", "alice> "+long[:65], long[65:73]+"▏89")
	m.Run("resize-window", "-x", "50", "-y", "20")
	m.Shows("alice> "+long[:43], long[43:73]+"▏89")
	p.log.Emit(event.Event{Kind: event.MemberSuspect, Member: "bob"})
	m.Shows("* bob is suspect", "alice> "+long[:43], long[43:73]+"▏89")
	m.Send("Enter")
	if got := receive(t, p.lines, "line"); "note "+got != long {
		t.Errorf("the peer got %q", got)
	}

	// Ctrl-C ends the command and nothing else.
	m.Send("wait", "Enter")
	m.Shows("waiting", "▏")
	m.Send("C-c")
	m.Shows("^C", "alice> ▏")
	m.Send("C-c")
	m.Shows("alice> ^C", "Ctrl-D or exit leaves the shell; the peer keeps ru", "nning", "alice> ▏")

	// tmux pastes as a terminal does: with marks, as the shell asked for.
	m.Run("set-buffer", "note one\nnote\ttwo\nnote three")
	m.Run("paste-buffer", "-p")
	for _, want := range []string{"one", "two"} {
		if got := receive(t, p.lines, "line"); got != want {
			t.Errorf("the peer got %q, want %q", got, want)
		}
	}
	m.Shows("alice> note one", "alice> note two", "alice> note three▏")
	m.Send("C-u", "C-d")
	m.Shows("alice> exit", "$ ▏")

	m.Send("clear; "+self, "Enter")
	m.Shows("alice> ▏")
	m.Send("Up", "Up")
	m.Shows("alice> note one▏")
	m.Send("C-c")
	m.Shows("alice> note one^C", "alice> ▏")
	m.Send("C-r", "ech")
	m.Shows("alice> ▏echo hello", "bck-i-search: ech")
	m.Send("Enter")
	m.Shows("hello", "alice> ▏")
	m.Send("unfinished")
	m.Shows("alice> unfinished▏")
	p.kill()
	m.Shows("alice> unfinished", "peer alice is gone", "failed: peer alice is gone", "$ ▏")
	// The terminal is as it was: what is typed shows, and is run.
	m.Send("echo $?", "Enter")
	m.Shows("$ echo $?", "1", "$ ▏")
}
