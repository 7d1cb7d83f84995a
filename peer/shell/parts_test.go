package shell

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"peerlab/event"
)

func TestNoticeOf(t *testing.T) {
	for _, tc := range []struct {
		e    event.Event
		want string
	}{
		{event.Event{Kind: event.ChatDelivered, Member: "bob", Text: "hi"}, "<bob> hi"},
		{event.Event{Kind: event.ChatDelivered, Member: "bob", Text: "a\nb\x1b[2J"}, "<bob> a\ufffdb\ufffd[2J"},
		{event.Event{Kind: event.ChatDelivered, Member: "alice", Text: "own"}, ""},
		{event.Event{Kind: event.ChatSent, Text: "own"}, ""},
		{event.Event{Kind: event.ChatJoin, Member: "bob"}, "<joined> bob has joined"},
		{event.Event{Kind: event.ChatLeave, Member: "bob", Reason: "leave"}, "<left> bob is leaving"},
		{event.Event{Kind: event.ChatLeave, Member: "bob", Reason: "dead"}, "<left> bob has left"},
		{event.Event{Kind: event.MemberJoin, Member: "bob"}, "* bob joined"},
		{event.Event{Kind: event.MemberSuspect, Member: "bob"}, "* bob is suspect"},
		{event.Event{Kind: event.MemberRefute, Member: "bob"}, "* bob is alive after all"},
		{event.Event{Kind: event.MemberRefute, Member: "alice"}, ""},
		{event.Event{Kind: event.MemberDead, Member: "bob"}, "* bob is dead"},
		{event.Event{Kind: event.MemberLeft, Member: "bob"}, "* bob left"},
		{event.Event{Kind: event.MemberUpdate, Member: "bob"}, ""},
		{event.Event{Kind: event.BootstrapError, Error: "down"}, ""},
	} {
		if got := noticeOf("alice", tc.e); got != tc.want {
			t.Errorf("%s of %s: %q, want %q", tc.e.Kind, tc.e.Member, got, tc.want)
		}
	}
}

func TestNoticesAreBounded(t *testing.T) {
	var n notices
	for i := range maxNotices + 5 {
		n.add(fmt.Sprint(i))
	}
	text := n.take()
	if !strings.HasPrefix(text, "* 5 lines were not shown\n5\n") || strings.Count(text, "\n") != maxNotices+1 {
		t.Errorf("%d lines: %.60q…", strings.Count(text, "\n"), text)
	}
	if text := n.take(); text != "" {
		t.Errorf("taken twice: %.60q…", text)
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
			h := openHistory(tc.path)
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
	one, two := openHistory(path), openHistory(path)
	one.add("a")
	two.add("b")
	one.add("c")
	if got, want := openHistory(path).lines, []string{"a", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("the file gives %q, want %q", got, want)
	}
}

func TestColumns(t *testing.T) {
	for _, tc := range []struct {
		words []string
		width int
		want  string
	}{
		{[]string{"a", "b", "c"}, 80, "a  b  c\n"},
		{[]string{"one", "two", "three", "four"}, 16, "one    three\ntwo    four\n"},
		{[]string{"one", "two"}, 3, "one\ntwo\n"},
		{[]string{"日本", "x"}, 0, "日本\nx\n"},
	} {
		if got := columns(tc.words, tc.width); got != tc.want {
			t.Errorf("%q in %d: %q, want %q", tc.words, tc.width, got, tc.want)
		}
	}
	if got := columns(strings.Fields(strings.Repeat("x ", maxCandidates+7)), 80); !strings.HasSuffix(got, "… and 7 more\n") {
		t.Errorf("too many: …%q", got[len(got)-20:])
	}
}

func TestEscape(t *testing.T) {
	if got, want := escape(`a b'c"d\e`), `a\ b\'c\"d\\e`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOutputKeepsCharactersWhole(t *testing.T) {
	var shown []string
	o := &output{show: func(s string) error {
		shown = append(shown, s)
		return nil
	}}
	for _, part := range []string{"a\xe2", "\x82\xac", "b\x1b", "[2J\xff", "\xf0\x9f"} {
		if n, err := o.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("Write: %d, %v", n, err)
		}
	}
	o.end()
	if want := []string{"a", "€", "b\ufffd", "[2J\ufffd", "\ufffd\ufffd"}; !slices.Equal(shown, want) {
		t.Errorf("shown %q, want %q", shown, want)
	}
}

func TestLog(t *testing.T) {
	var b strings.Builder
	log := NewLog(&b)
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	p := newPeer(t)
	logger.Info("before")
	w := open(t, Options{Peer: Local("alice", &p.registry, p.log), Log: log})
	w.shows("alice> ▏")
	w.keys("note")
	w.shows("alice> note▏")
	logger.Info("meanwhile")
	w.shows("level=INFO msg=meanwhile", "alice> note▏")
	if _, err := io.WriteString(log, "two\nlines \x1b[2J\n"); err != nil {
		t.Error(err)
	}
	w.shows("level=INFO msg=meanwhile", "two", "lines \ufffd[2J", "alice> note▏")
	w.keys(ctrlC + ctrlD)
	if err := w.result(); err != nil {
		t.Error(err)
	}
	logger.Info("after")
	if want := "level=INFO msg=before\nlevel=INFO msg=after\n"; b.String() != want {
		t.Errorf("without a shell the log got %q, want %q", b.String(), want)
	}
}

func TestLocal(t *testing.T) {
	p := newPeer(t)
	w := open(t, Options{Peer: Local("alice", &p.registry, p.log)})
	w.shows("alice> ▏")
	w.keys("echo hi\rpanic\r")
	w.ends("hi", "alice> panic", "error: internal error: by intent", "alice> ▏")
	w.keys("rtt bo\t")
	w.ends("alice> rtt bob ▏")
	p.log.Emit(event.Event{Kind: event.ChatJoin, Member: "bob"})
	w.ends("<joined> bob has joined", "alice> rtt bob ▏")
	w.keys(ctrlC)
	w.ends("alice> rtt bob ^C", "alice> ▏")
	w.keys("wait\r")
	receive(t, p.running, "start of the command")
	w.keys(ctrlC)
	w.ends("^C", "alice> ▏")
	w.keys(ctrlC)
	w.ends("Ctrl-D or exit leaves the shell and stops the peer", "alice> ▏")
	p.log.Close()
	if err := w.result(); err == nil || err.Error() != "peer alice is gone" {
		t.Errorf("the shell ended with %v", err)
	}
}

func TestMissedEventsAreTold(t *testing.T) {
	s := &session{editor: &editor{arrived: make(chan struct{}, 1)}, peer: &gaps{}, end: func(error) {}}
	s.follow(context.Background())
	if got, want := s.notices.take(), "<bob> one\n* 3 events were missed\n<bob> two\n"; got != want {
		t.Errorf("shown %q, want %q", got, want)
	}
}

// gaps is a peer whose events come with one.
type gaps struct{ local }

func (*gaps) Follow(_ context.Context, fn func(event.Event)) error {
	fn(event.Event{Seq: 7, Kind: event.ChatDelivered, Member: "bob", Text: "one"})
	fn(event.Event{Seq: 11, Kind: event.ChatDelivered, Member: "bob", Text: "two"})
	return nil
}
