//go:build linux

package shell

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"peerlab/event"
)

func TestCtrlC(t *testing.T) {
	p, w := attach(t, Options{})
	w.keys("wait\r")
	w.ends("waiting", "▏")
	w.keys("note dropped\r" + ctrlC)
	w.ends("alice> wait", "waiting", "^C", "alice> ▏")
	w.keys("half a line" + ctrlC)
	w.ends("alice> half a line^C", "alice> ▏")
	w.keys(ctrlC)
	w.ends("alice> ^C", "Ctrl-D or exit leaves the shell; the peer keeps running", "alice> ▏")
	w.keys("note end\r")
	if line := receive(t, p.lines, "line"); line != "end" {
		t.Errorf("the peer got %q", line)
	}
}

func TestLeaving(t *testing.T) {
	for _, keys := range []string{ctrlD, "exit\r", "/exit\r", "wait\r" + ctrlC + ctrlD} {
		t.Run(keys, func(t *testing.T) {
			p := newPeer(t).serve(t)
			left := make(chan struct{}, 1)
			w := open(t, Options{Peer: p.attach(t), OnExit: func() { left <- struct{}{} }})
			w.shows("alice> ▏")
			if strings.HasPrefix(keys, "wait") {
				w.keys("wait\r")
				receive(t, p.running, "start of the command")
				keys = strings.TrimPrefix(keys, "wait\r")
			}
			w.keys(keys)
			if err := w.result(); err != nil {
				t.Error(err)
			}
			receive(t, left, "OnExit")
			if err := p.attach(t).Ping(t.Context()); err != nil {
				t.Errorf("the peer did not go on: %v", err)
			}
		})
	}
}

func TestTerminalIsGivenBack(t *testing.T) {
	ptmx, tty := openPTY(t)
	defer ptmx.Close()
	defer tty.Close()
	before := termios(t, tty)
	p := newPeer(t).serve(t)
	w := &window{t: t, ptmx: ptmx, tty: tty, done: make(chan error, 1), changed: make(chan struct{}), screen: newVT(72, 12)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		w.read()
	}()
	go func() { w.done <- Run(t.Context(), Options{Peer: p.attach(t), In: tty, Out: tty}) }()
	w.shows("alice> ▏")
	if termios(t, tty) == before {
		t.Error("the terminal is not raw")
	}
	w.keys(ctrlD)
	if err := w.result(); err != nil {
		t.Error(err)
	}
	if termios(t, tty) != before {
		t.Error("the terminal is not as it was")
	}
	// Nothing reads it any more: what is typed now is for whoever comes next.
	w.keys("next\n")
	line := make([]byte, 5)
	if n, err := tty.Read(line); err != nil || string(line[:n]) != "next\n" {
		t.Errorf("read %q, %v", line[:n], err)
	}
	tty.Close()
	<-read
	if !strings.HasSuffix(strings.TrimSuffix(string(w.sent), "next\r\n"), pasteMarksOff) {
		t.Errorf("paste marks stay on: %q", w.sent)
	}
}

func termios(t *testing.T, f *os.File) syscall.Termios {
	t.Helper()
	var state syscall.Termios
	if err := getTermios(f, &state); err != nil {
		t.Fatal(err)
	}
	return state
}

func TestDyingPeer(t *testing.T) {
	for _, tc := range []struct {
		name, keys string
		want       []string
	}{
		{"idle", "", []string{"peer alice is gone", "▏"}},
		{"while typing", "note half", []string{"alice> note half", "peer alice is gone", "▏"}},
		{"while searching", "note one\r" + ctrlR + "on", []string{"peer alice is gone", "▏"}},
		{"while a command runs", "wait\r", []string{"peer alice is gone", "▏"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, w := attach(t, Options{OnExit: func() { t.Error("the user did not leave") }})
			w.keys(tc.keys)
			switch {
			case strings.HasPrefix(tc.keys, "wait"):
				receive(t, p.running, "start of the command")
			case strings.HasPrefix(tc.keys, "note one"):
				w.await("the search", func(s string) bool { return strings.Contains(s, "bck-i-search: on") })
				receive(t, p.lines, "line")
			default:
				w.shows("alice> " + tc.keys + "▏")
			}
			p.kill()
			if err := w.result(); !errors.Is(err, ErrGone) || err.Error() != "peer alice is gone" {
				t.Errorf("the shell ended with %v", err)
			}
			w.await("the end", func(s string) bool {
				return strings.HasSuffix("\n"+s, "\n"+strings.Join(tc.want, "\n"))
			})
			if len(p.lines) > 0 {
				t.Errorf("the unfinished line %q was run", <-p.lines)
			}
		})
	}
}

// A peer that stops in order says why; quit is what the user wanted.
func TestStoppingPeer(t *testing.T) {
	for _, tc := range []struct {
		name, keys, reason string
		want               []string
		gone               bool
	}{
		{"quit", "quit\r", "", []string{"leaving", "peer alice has left all layers and ends, as quit asked", "▏"}, false},
		{"quit by another", "note half", "quit", []string{"alice> note half", "peer alice has left all layers and ends, as quit asked", "▏"}, false},
		{"abort", "note half", "exit", []string{"alice> note half", "peer alice is gone: abort ended it without leaving", "▏"}, true},
		{"stop", "note half", "asked to stop", []string{"alice> note half", "peer alice is gone: asked to stop", "▏"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, w := attach(t, Options{})
			w.keys(tc.keys)
			if tc.reason != "" {
				w.shows("alice> " + tc.keys + "▏")
				p.log.Emit(event.Event{Kind: event.PeerStopping, Reason: tc.reason})
			}
			if err := w.result(); (err != nil) != tc.gone || tc.gone && !errors.Is(err, ErrGone) {
				t.Errorf("the shell ended with %v", err)
			}
			w.ends(tc.want...)
			if len(p.lines) > 0 {
				t.Errorf("the unfinished line %q was run", <-p.lines)
			}
		})
	}
}

// Another peer on the same socket is not the one attached to.
func TestReplacedPeer(t *testing.T) {
	p, w := attach(t, Options{})
	p.log.Emit(event.Event{Kind: event.MemberDead, Member: "bob"})
	w.ends("* bob is dead", "alice> ▏") // so the shell follows this peer's events
	p.kill()
	next := newPeer(t)
	next.path = p.path
	next.serve(t)
	if err := w.result(); !errors.Is(err, ErrGone) {
		t.Errorf("the shell ended with %v", err)
	}
}

func TestPausedPeer(t *testing.T) {
	p, w := attach(t, Options{patience: 20 * time.Millisecond})
	defer p.pause()()
	w.keys("echo a\r")
	w.shows("alice> echo a", "alice does not answer (paused?): Ctrl-C to stop waiting", "▏")
	w.keys(ctrlC)
	w.ends("^C", "alice> ▏")
	w.keys("ec\t") // completion gives up, too
	w.ends("alice> ec▏")
	w.keys(ctrlC + ctrlD)
	if err := w.result(); err != nil {
		t.Error(err)
	}
}

// A command that is silent because it works is no reason for a remark.
func TestSilentCommand(t *testing.T) {
	p, w := attach(t, Options{patience: 10 * time.Millisecond})
	receive(t, p.asked, "question when it was attached to")
	w.keys("wait\r")
	w.ends("waiting", "▏")
	for range 3 {
		receive(t, p.asked, "question for a sign of life")
	}
	w.keys(ctrlC)
	w.shows("alice> wait", "waiting", "^C", "alice> ▏")
}

func TestContextEndsTheShell(t *testing.T) {
	p, w := attach(t, Options{OnExit: func() { t.Error("the user did not leave") }})
	w.keys("note half")
	w.shows("alice> note half▏")
	w.cancel()
	if err := w.result(); err == nil || len(p.lines) > 0 {
		t.Errorf("the shell ended with %v, %d lines run", err, len(p.lines))
	}
}

func TestTerminalGoesAway(t *testing.T) {
	p, w := attach(t, Options{})
	w.keys("note half")
	w.shows("alice> note half▏")
	w.ptmx.Close() // the window is closed
	if err := w.result(); err != nil {
		t.Error(err)
	}
	if len(p.lines) > 0 {
		t.Errorf("the unfinished line %q was run", <-p.lines)
	}
}
