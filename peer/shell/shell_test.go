package shell

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"peerlab/event"
)

const (
	up, down, left, right = "\x1b[A", "\x1b[B", "\x1b[D", "\x1b[C"
	ctrlA, ctrlC, ctrlD   = "\x01", "\x03", "\x04"
	ctrlE, ctrlL, ctrlR   = "\x05", "\x0c", "\x12"
	ctrlG                 = "\x07"
	deleteKey             = "\x1b[3~"
)

// attach opens a shell on a new peer.
func attach(t testing.TB, opts Options) (*peer, *window) {
	t.Helper()
	p := newPeer(t).serve(t)
	opts.Peer = p.attach(t)
	w := open(t, opts)
	w.shows("alice> ▏")
	return p, w
}

func TestLines(t *testing.T) {
	p, w := attach(t, Options{})
	w.keys("echo hello\r")
	w.shows("alice> echo hello", "hello", "alice> ▏")
	w.keys("\r   \r# a comment\r")
	w.ends("alice>", "alice>", "alice> # a comment", "alice> ▏")
	w.keys("/echo 'a slash'\r")
	w.ends("a slash", "alice> ▏")
	w.keys("fail\r")
	w.ends("alice> fail", "error: it failed \ufffd[2J", "alice> ▏")
	w.keys("exho\r")
	w.ends(`error: unknown command "exho": did you mean echo?`, "alice> ▏")
	w.keys("echo 'open\r")
	w.await("the parser's error", func(s string) bool { return strings.Contains(s, "error: unterminated quote") })
	w.keys("panic\r")
	w.ends("error: internal error: by intent", "alice> ▏")
	w.keys("note still there\r")
	if line := receive(t, p.lines, "line"); line != "still there" {
		t.Errorf("the peer got %q", line)
	}
}

// The prompt must not wipe output that does not end its line.
func TestOutputWithoutLineEnd(t *testing.T) {
	_, w := attach(t, Options{})
	w.keys("raw half a line\r")
	w.shows("alice> raw half a line", "half a line", "alice> ▏")
}

func TestOutputIsCleaned(t *testing.T) {
	_, w := attach(t, Options{})
	w.keys("evil\r")
	w.shows("alice> evil", "a\ufffd[2Jb\ufffd2Jc", "alice> ▏")
}

func TestEditing(t *testing.T) {
	p, w := attach(t, Options{})
	for _, tc := range []struct{ name, keys, want string }{
		{"left and insert", "note ac" + left + "b", "abc"},
		{"application mode arrows", "note ac" + "\x1bOD" + "b", "abc"},
		{"Home and End", ctrlA + "\x1b[Hnote " + ctrlE + "x" + "\x1b[4~" + "y", "xy"},
		{"words", "note one two" + "\x1b[1;5D" + "\x1bb" + "zero ", "zero one two"},
		{"Delete key", "note axb" + left + left + deleteKey, "ab"},
		{"Delete key on an empty line", deleteKey + deleteKey + "note a", "a"},
		{"Ctrl-D within a line", "note xa" + left + left + ctrlD, "a"},
		{"kill and yank", "note ab\x15\x19", "ab"},
		{"unknown keys", "note a\x00\x1a\x14\x1b[15~\x1bOP\x1b[200;5u\x1bxb", "ab"},
		{"wide characters", "note 日本語" + left + left + "€", "日€本語"},
		{"not UTF-8", "note a\xffb", "a\ufffdb"},
		{"bidi override", "note a\u202eb", "ab"},
		{"escape, then a letter apart", "note a\x1b", "a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.t = t
			w.keys(tc.keys + "\r")
			if got := receive(t, p.lines, "line"); got != tc.want {
				t.Errorf("%q gave %q, want %q", tc.keys, got, tc.want)
			}
		})
	}
}

func TestCompletion(t *testing.T) {
	_, w := attach(t, Options{})
	for _, tc := range []struct {
		name, keys string
		want       []string // the end of the screen
	}{
		{"command", "ech\t", []string{"alice> echo ▏"}},
		{"leading slash", "/ech\t", []string{"alice> /echo ▏"}},
		{"common prefix", "ch\t", []string{"alice> chat ▏"}},
		{"subcommands are listed above", "chat \t", []string{"join   leave", "alice> chat ▏"}},
		{"subcommand", "chat j\t", []string{"alice> chat join ▏"}},
		{"flag", "rtt -v\t", []string{"alice> rtt -verbose ▏"}},
		{"peers, but none that would act on the terminal", "rtt \t", []string{"bert   bob    carol", "alice> rtt ▏"}},
		{"peer", "rtt bo\t", []string{"alice> rtt bob ▏"}},
		{"common prefix of peers", "rtt b\t", []string{"bert  bob", "alice> rtt b▏"}},
		{"the shell's own", "hist\t", []string{"alice> history ▏"}},
		{"help for the shell's own", "help cle\t", []string{"alice> help clear ▏"}},
		{"nothing", "nothing\t", []string{"alice> nothing▏"}},
		{"in the middle", "ec ab" + left + left + left + "\t", []string{"alice> echo ▏ ab"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.t = t
			w.keys(tc.keys)
			w.ends(tc.want...)
			w.keys(ctrlC + ctrlL)
			w.shows("alice> ▏")
		})
	}
}

func TestHistoryAcrossSessions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history")
	p, w := attach(t, Options{HistoryFile: file})
	w.keys("note one\rnote two\rnote two\r  \rnote three\r")
	for range 4 {
		receive(t, p.lines, "line")
	}
	w.keys("exit\r")
	if err := w.result(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if want := "note one\nnote two\nnote three\nexit\n"; err != nil || string(b) != want {
		t.Errorf("the file holds %q, %v; want %q", b, err, want)
	}
	if st, err := os.Stat(file); err != nil || st.Mode() != 0o600 {
		t.Errorf("mode %v, want -rw------- (%v)", st.Mode(), err)
	}

	w = open(t, Options{Peer: p.attach(t), HistoryFile: file})
	w.shows("alice> ▏")
	w.keys(up + up)
	w.shows("alice> note three▏")
	w.keys(up + up + down)
	w.shows("alice> note two▏")
	w.keys(ctrlC)
	w.ends("alice> ▏")
	w.keys(ctrlR + "on")
	w.await("the search", func(s string) bool {
		return strings.Contains(s, "bck-i-search: on") && strings.Contains(s, "alice> note ▏one")
	})
	w.keys("\r")
	if line := receive(t, p.lines, "line"); line != "one" {
		t.Errorf("Ctrl-R found %q", line)
	}
	w.keys(ctrlL + "history 2\r")
	w.ends("    5  note one", "    6  history 2", "alice> ▏")
	w.keys("history none\r")
	w.ends("error: usage: history [N], N being how many lines, at least 1", "alice> ▏")
	w.keys(up + up + up + "!" + ctrlC) // an old line changed and given up
	w.ends("alice> note one!^C", "alice> ▏")
	w.keys("history 5\r")
	w.await("the old line unchanged", func(s string) bool { return strings.Contains(s, "  note one\n") })
}

func TestSearchInEmptyHistory(t *testing.T) {
	p, w := attach(t, Options{})
	w.keys(ctrlR + "x")
	w.shows("alice> x▏")
	w.keys(ctrlC + "note a\r")
	if line := receive(t, p.lines, "line"); line != "a" {
		t.Errorf("the peer got %q", line)
	}
}

func TestNoticeWhileTyping(t *testing.T) {
	p, w := attach(t, Options{})
	w.keys("echo abc" + left + left)
	w.shows("alice> echo a▏bc")
	p.log.Emit(event.Event{Kind: event.ChatDelivered, Member: "bob", Text: "hi"})
	w.shows("<bob> hi", "alice> echo a▏bc")
	p.log.Emit(event.Event{Kind: event.MemberSuspect, Member: "bob"})
	w.shows("<bob> hi", "* bob is suspect", "alice> echo a▏bc")
	w.keys("X\r")
	w.ends("alice> echo aXbc", "aXbc", "alice> ▏")
}

func TestNoticeWhileTypingALineThatWraps(t *testing.T) {
	p, w := attach(t, Options{})
	long := strings.Repeat("0123456789", 7)
	w.keys("echo " + long)
	w.shows("alice> echo "+long[:60], long[60:]+"▏")
	p.log.Emit(event.Event{Kind: event.ChatDelivered, Member: "bob", Text: "hi"})
	w.shows("<bob> hi", "alice> echo "+long[:60], long[60:]+"▏")
}

func TestNoticeDuringSearch(t *testing.T) {
	p, w := attach(t, Options{})
	w.keys("note one\r" + ctrlR + "on")
	w.await("the search", func(s string) bool { return strings.Contains(s, "bck-i-search: on") })
	p.log.Emit(event.Event{Kind: event.ChatDelivered, Member: "bob", Text: "hi"})
	w.shows("alice> note one", "<bob> hi", "alice> note ▏one", "bck-i-search: on")
}

func TestNoticeDuringCommand(t *testing.T) {
	p, w := attach(t, Options{})
	w.keys("wait\rtyped ahead")
	w.shows("alice> wait", "waiting", "▏")
	p.log.Emit(event.Event{Kind: event.MemberDead, Member: "bob"})
	w.shows("alice> wait", "waiting", "* bob is dead", "▏")
	w.keys(ctrlC)
	w.ends("^C", "alice> ▏") // and with it what was typed ahead
}

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
			if _, err := p.attach(t), error(nil); err != nil {
				t.Error(err)
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

func TestHostileText(t *testing.T) {
	p, w := attach(t, Options{})
	p.log.Emit(event.Event{Kind: event.ChatDelivered, Member: "bob\x1b[2J", Text: "a\x1b[2Jb\u009b2J\n<carol> forged\r"})
	p.log.Emit(event.Event{Kind: event.MemberDead, Member: "\x1b]0;title\a"})
	w.ends("<bob\ufffd[2J> a\ufffd[2Jb\ufffd2J\ufffd<carol> forged\ufffd", "* \ufffd]0;title\ufffd is dead", "alice> ▏")
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.Contains(string(w.sent), "\x1b[2J") || strings.Contains(string(w.sent), "\x1b]") {
		t.Errorf("an escape sequence reached the terminal: %q", w.sent)
	}
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

func TestHelpAndClear(t *testing.T) {
	_, w := attach(t, Options{})
	w.keys("clear\r")
	w.shows("alice> ▏")
	w.keys("help\r")
	w.ends("shell", "  exit         leave the shell, as Ctrl-D does",
		"  history [N]  show what was typed, or the last N lines of it",
		"  clear        clear the screen, as Ctrl-L does", "alice> ▏")
	w.keys("help history\r")
	w.ends("show what was typed, or the last N lines of it", "", "usage: history [N]", "alice> ▏")
	w.keys("help echo\r")
	w.ends("show TEXT", "", "usage: echo", "alice> ▏")
	w.keys("exit now\r")
	w.ends("error: exit takes no argument: the shell has no status of its own", "alice> ▏")
	w.keys("clear all\r")
	w.ends("error: clear takes no argument", "alice> ▏")
}

func TestTwoShellsOnOnePeer(t *testing.T) {
	p, one := attach(t, Options{})
	two := open(t, Options{Peer: p.attach(t)})
	two.shows("alice> ▏")
	one.keys("wait\r")
	receive(t, p.running, "start of the command")
	two.keys("echo two\r")
	two.ends("two", "alice> ▏")
	p.log.Emit(event.Event{Kind: event.ChatDelivered, Member: "bob", Text: "hi"})
	one.ends("<bob> hi", "▏")
	two.ends("<bob> hi", "alice> ▏")
	two.keys(ctrlD)
	if err := two.result(); err != nil {
		t.Error(err)
	}
	one.keys(ctrlC + "echo one\r")
	one.ends("one", "alice> ▏")
}
