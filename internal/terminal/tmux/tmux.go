// Package tmux drives a program in a real terminal, as a person would: for
// tests of what is typed and what the screen then shows.
package tmux

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long Shows waits for a screen.
const patience = 20 * time.Second

// Terminal is a window of a tmux server of its own.
type Terminal struct {
	t      testing.TB
	server string
}

// Start runs a shell command line in a window of the given size, which ends
// with the test. It skips the test where tmux is not installed.
func Start(t testing.TB, width, height int, command string) *Terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("tmux is not installed")
	}
	m := &Terminal{t: t, server: filepath.Join(t.TempDir(), "tmux")}
	m.Run("new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), command)
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", m.server, "kill-server").Run() })
	return m
}

// Run runs a tmux command and returns its output.
func (m *Terminal) Run(args ...string) string {
	m.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", m.server, "-f", "/dev/null"}, args...)...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return string(out)
}

// Send types keys, by tmux's names: "Tab", "Enter", "C-c", or text.
func (m *Terminal) Send(keys ...string) {
	m.t.Helper()
	m.Run(append([]string{"send-keys"}, keys...)...)
}

// Shows waits until the screen's last lines are these; ▏ is the cursor.
func (m *Terminal) Shows(lines ...string) {
	m.t.Helper()
	want := "\n" + strings.Join(lines, "\n")
	m.await("end with"+want, func(screen string) bool { return strings.HasSuffix("\n"+screen, want) })
}

// Contains waits until the screen has text somewhere.
func (m *Terminal) Contains(text string) {
	m.t.Helper()
	m.await("contain "+text, func(screen string) bool { return strings.Contains(screen, text) })
}

func (m *Terminal) await(what string, ok func(screen string) bool) {
	m.t.Helper()
	var screen string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if screen = m.screen(); ok(screen) {
			return
		}
	}
	m.t.Fatalf("within %s the screen did not %s\nbut is\n%s", patience, what, screen)
}

// screen returns what is on the screen, with ▏ where the cursor is.
func (m *Terminal) screen() string {
	m.t.Helper()
	var x, y int
	if _, err := fmt.Sscan(m.Run("display-message", "-p", "#{cursor_x} #{cursor_y}"), &x, &y); err != nil {
		m.t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSuffix(m.Run("capture-pane", "-p"), "\n"), "\n")
	for len(rows) <= y {
		rows = append(rows, "")
	}
	row := []rune(rows[y])
	for len(row) < x {
		row = append(row, ' ')
	}
	rows[y] = string(row[:x]) + "▏" + string(row[x:])
	return strings.TrimRight(strings.Join(rows, "\n"), "\n")
}
