//go:build linux

package shell

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

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

func TestHistoryFile(t *testing.T) {
	dir := t.TempDir()
	path := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	many := ""
	for i := range 3 * historyLines {
		many += fmt.Sprintf("line %d\n", i)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, path string
		want       []string // nil: do not look
		count      int
	}{
		{"none", "", nil, 0},
		{"missing", filepath.Join(dir, "missing"), nil, 0},
		{"no such directory", "/nonexistent/history", nil, 0},
		{"a directory", dir, nil, 0},
		{"would block", fifo, nil, 0},
		{"lines", path("lines", "a\n\nb\nb\n  c  \na"), []string{"a", "b", "c", "a"}, 4},
		{"hostile", path("hostile", "a\n\x1b[2J\n\xff\n"+strings.Repeat("x", historyLine+1)+"\nb\n"), []string{"a", "b"}, 2},
		{"many", path("many", many), nil, historyLines},
		{"huge", path("huge", strings.Repeat("x", 2*historyFile)+"\na\n"), []string{"a"}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := openHistory(tc.path, nil)
			if len(h.lines) != tc.count || tc.want != nil && !slices.Equal(h.lines, tc.want) {
				t.Errorf("%d lines %.80q, want %d %q", len(h.lines), h.lines, tc.count, tc.want)
			}
			if !h.add("new") || h.add("new") || h.add(" ") || h.lines[len(h.lines)-1] != "new" {
				t.Errorf("adding gave %.80q", h.lines)
			}
		})
	}
	b, err := os.ReadFile(filepath.Join(dir, "many"))
	if lines := bytes.Count(b, []byte("\n")); err != nil || lines != historyLines+1 {
		t.Errorf("the long file has %d lines (%v), want it cut to %d and one added", lines, err, historyLines)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".history-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Two shells of one user do not lose each other's lines.
func TestHistoryShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	one, two := openHistory(path, nil), openHistory(path, nil)
	one.add("a")
	two.add("b")
	one.add("c")
	if got, want := openHistory(path, nil).lines, []string{"a", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("the file gives %q, want %q", got, want)
	}
}

// What is secret in a line is kept neither in memory nor in the file, to which
// lines of an older version may have brought it.
func TestHistoryKeepsNoSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	if err := os.WriteFile(path, []byte("members\nkeys install c2VjcmV0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hide := func(line string) string { return strings.ReplaceAll(line, "c2VjcmV0", "1a2b3c4d") }
	h := openHistory(path, hide)
	h.add(" keys use c2VjcmV0 ")
	want := []string{"members", "keys install 1a2b3c4d", "keys use 1a2b3c4d"}
	if !slices.Equal(h.lines, want) {
		t.Errorf("history holds %q, want %q", h.lines, want)
	}
	b, err := os.ReadFile(path)
	if err != nil || string(b) != strings.Join(want, "\n")+"\n" {
		t.Errorf("the file holds %q, %v", b, err)
	}
}
