package shell

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"peerlab/event"
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

// tmux is a shell in a real terminal, in a process of its own.
type tmux struct {
	t      *testing.T
	server string
}

func (m *tmux) run(args ...string) string {
	m.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", m.server, "-f", "/dev/null"}, args...)...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return string(out)
}

// shows waits until the screen's last lines are these; ▏ is the cursor.
func (m *tmux) shows(lines ...string) {
	m.t.Helper()
	want := "\n" + strings.Join(lines, "\n")
	var screen string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var x, y int
		if _, err := fmt.Sscan(m.run("display-message", "-p", "#{cursor_x} #{cursor_y}"), &x, &y); err != nil {
			m.t.Fatal(err)
		}
		rows := strings.Split(strings.TrimSuffix(m.run("capture-pane", "-p"), "\n"), "\n")
		for len(rows) <= y {
			rows = append(rows, "")
		}
		row := []rune(rows[y])
		for len(row) < x {
			row = append(row, ' ')
		}
		rows[y] = string(row[:x]) + "▏" + string(row[x:])
		screen = strings.TrimRight(strings.Join(rows, "\n"), "\n")
		if strings.HasSuffix("\n"+screen, want) {
			return
		}
	}
	m.t.Fatalf("within 10 s the screen did not end with%s\nbut is\n%s", want, screen)
}

func TestInTmux(t *testing.T) {
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("tmux is not installed")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t).serve(t)
	m := &tmux{t: t, server: filepath.Join(t.TempDir(), "tmux")}
	// A shell around it, for its end and its history in a second session.
	m.run("new-session", "-d", "-x", "72", "-y", "24", "PS1='$ ' "+asShell+"="+p.path+" sh")
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", m.server, "kill-server").Run() })
	send := func(keys ...string) { m.run(append([]string{"send-keys"}, keys...)...) }

	m.shows("$ ▏")
	send(self, "Enter")
	m.shows("alice> ▏")
	send("ech", "Tab", "hello", "Enter")
	m.shows("alice> echo hello", "hello", "alice> ▏")
	send("chat ", "Tab")
	m.shows("join   leave", "alice> chat ▏")
	send("C-c")
	m.shows("alice> chat ^C", "alice> ▏")

	// A message while typing in the middle of a line that wraps, and after the
	// window has become narrower under it.
	long := "note " + strings.Repeat("0123456789", 7)
	send("-l", long)
	send("Left", "Left")
	m.shows("alice> "+long[:65], long[65:73]+"▏89")
	p.log.Emit(event.Event{Kind: event.ChatDelivered, Member: "bob", Text: "hi"})
	m.shows("<bob> hi", "alice> "+long[:65], long[65:73]+"▏89")
	m.run("resize-window", "-x", "50", "-y", "20")
	m.shows("alice> "+long[:43], long[43:73]+"▏89")
	p.log.Emit(event.Event{Kind: event.MemberSuspect, Member: "bob"})
	m.shows("* bob is suspect", "alice> "+long[:43], long[43:73]+"▏89")
	send("Enter")
	if got := receive(t, p.lines, "line"); "note "+got != long {
		t.Errorf("the peer got %q", got)
	}

	// Ctrl-C ends the command and nothing else.
	send("wait", "Enter")
	m.shows("waiting", "▏")
	send("C-c")
	m.shows("^C", "alice> ▏")
	send("C-c")
	m.shows("alice> ^C", "Ctrl-D or exit leaves the shell; the peer keeps ru", "nning", "alice> ▏")

	// tmux pastes as a terminal does: with marks, as the shell asked for.
	m.run("set-buffer", "note one\nnote\ttwo\nnote three")
	m.run("paste-buffer", "-p")
	for _, want := range []string{"one", "two"} {
		if got := receive(t, p.lines, "line"); got != want {
			t.Errorf("the peer got %q, want %q", got, want)
		}
	}
	m.shows("alice> note one", "alice> note two", "alice> note three▏")
	send("C-u", "C-d")
	m.shows("alice> exit", "$ ▏")

	send("clear; "+self, "Enter")
	m.shows("alice> ▏")
	send("Up", "Up")
	m.shows("alice> note one▏")
	send("C-c")
	m.shows("alice> note one^C", "alice> ▏")
	send("C-r", "ech")
	m.shows("alice> ▏echo hello", "bck-i-search: ech")
	send("Enter")
	m.shows("hello", "alice> ▏")
	send("unfinished")
	m.shows("alice> unfinished▏")
	p.kill()
	m.shows("alice> unfinished", "peer alice is gone", "failed: peer alice is gone", "$ ▏")
	// The terminal is as it was: what is typed shows, and is run.
	send("echo $?", "Enter")
	m.shows("$ echo $?", "1", "$ ▏")
}
