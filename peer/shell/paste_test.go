//go:build linux

package shell

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"

	"peerlab/event"
)

func TestPaste(t *testing.T) {
	for _, tc := range []struct{ name, keys string }{
		{"plain", "note 1\rnote 2\rnote 3\r"},
		{"plain, line feeds", "note 1\nnote 2\nnote 3\n"},
		{"bracketed", "\x1b[200~note 1\rnote 2\rnote 3\r\x1b[201~"},
		{"bracketed, CRLF", "\x1b[200~note 1\r\nnote 2\r\nnote 3\r\n\x1b[201~"},
		{"bracketed, last line open", "\x1b[200~note 1\nnote 2\nnote\t3\x1b[201~\r"},
		{"bracketed, with keys in it", "\x1b[200~note 1\nnote\x03\x04\x1b[A\x1bb 2\nnote 3\x1b[201~\r"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, w := attach(t, Options{})
			w.keys(tc.keys)
			for _, want := range []string{"1", "2", "3"} {
				if got := receive(t, p.lines, "line"); got != want {
					t.Errorf("got line %q, want %q", got, want)
				}
			}
			w.await("one prompt per line", func(s string) bool {
				return strings.Count(s, "alice> ") == 4 && strings.HasSuffix(s, "alice> ▏")
			})
		})
	}
}

func TestLongPaste(t *testing.T) {
	p, w := attach(t, Options{})
	const n = 300
	go func() { // the terminal takes 4 KiB at a time
		for i := range n {
			_, _ = w.ptmx.WriteString("note " + strings.Repeat("x", i%50) + "\r")
		}
	}()
	for i := range n {
		if got, want := receive(t, p.lines, "line"), strings.Repeat("x", i%50); got != want {
			t.Fatalf("line %d is %q, want %q", i, got, want)
		}
	}
}

func TestResize(t *testing.T) {
	p, w := attach(t, Options{})
	long := strings.Repeat("0123456789", 4)
	resize := func(cols int) {
		w.mu.Lock()
		w.screen.width = cols
		w.mu.Unlock()
		if err := pty.Setsize(w.tty, &pty.Winsize{Cols: uint16(cols), Rows: 12}); err != nil {
			t.Fatal(err)
		}
		// The terminal is not this process's own, so that the kernel does not tell it.
		if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
			t.Fatal(err)
		}
	}
	w.keys("note ")
	w.shows("alice> note ▏")
	w.mu.Lock()
	drawn := len(w.sent)
	w.mu.Unlock()
	resize(30)
	w.await("the line drawn again", func(string) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.sent) > drawn
	})
	w.keys(long)
	w.shows("alice> note "+long[:18], long[18:]+"▏")
	p.log.Emit(event.Event{Kind: event.ChatDelivered, Member: "bob", Text: "hi"})
	w.shows("<bob> hi", "alice> note "+long[:18], long[18:]+"▏")
	w.keys("\r")
	if got := receive(t, p.lines, "line"); got != long {
		t.Errorf("the peer got %q", got)
	}
}

func TestNarrowTerminal(t *testing.T) {
	p, w := attach(t, Options{})
	for _, cols := range []uint16{7, 1, 0, 14} { // the prompt is 7 wide
		if err := pty.Setsize(w.tty, &pty.Winsize{Cols: cols, Rows: 12}); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
			t.Fatal(err)
		}
		w.keys("note abc" + left + left + "\t" + ctrlR + "note" + ctrlG + ctrlE + "\r")
		receive(t, p.lines, "line")
	}
}
