//go:build linux

package shell

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"peerlab/event"
)

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
	w.keys("e")
	w.shows("alice> note one", "<bob> hi", "alice> note ▏one", "bck-i-search: one")
	w.mu.Lock()
	defer w.mu.Unlock()
	_, since, _ := strings.Cut(string(w.sent), "<bob> hi")
	if drawn := strings.Count(since, "alice> "); drawn != 2 { // a third time would wipe the search in between
		t.Errorf("the line was drawn %d times since, want once for the message and once for the key: %q", drawn, since)
	}
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

func TestNoticeOf(t *testing.T) {
	for _, tc := range []struct {
		e    event.Event
		want string
	}{
		{event.Event{Kind: event.ChatDelivered, Member: "bob", Text: "hi"}, "<bob> hi"},
		{event.Event{Kind: event.ChatDelivered, Member: "bob", Text: "a\nb\x1b[2J"}, "<bob> a\ufffdb\ufffd[2J"},
		{event.Event{Kind: event.ChatDelivered, Member: "alice", Text: "own"}, ""},
		{event.Event{Kind: event.ChatSent, Text: "here", Shell: "own"}, ""},
		{event.Event{Kind: event.ChatSent, Text: "there", Shell: "other"}, "<alice> there"},
		{event.Event{Kind: event.ChatSent, Text: "by a script"}, "<alice> by a script"},
		{
			event.Event{Kind: event.ChatDelivered, Member: "bob", Text: strings.Repeat("x", 30_000)},
			"<bob> " + strings.Repeat("x", 394) + "… 29 kB more: chat history has all of it",
		},
		{
			event.Event{Kind: event.ChatDelivered, Member: "bob", Text: strings.Repeat("日", 200)},
			"<bob> " + strings.Repeat("日", 197) + "… 9 bytes more: chat history has all of it",
		},
		{
			event.Event{Kind: event.BootstrapError, Error: strings.Repeat("x", 2000)},
			"* bootstrap service: " + strings.Repeat("x", 379) + "… 1 kB more: events -kind bootstrap.error has all of it",
		},
		{event.Event{Kind: event.ChatJoin, Member: "bob"}, "<joined> bob has joined"},
		{event.Event{Kind: event.ChatLeave, Member: "bob", Reason: "leave"}, "<left> bob is leaving"},
		{event.Event{Kind: event.ChatLeave, Member: "bob", Reason: "dead"}, "<left> bob has left"},
		{
			event.Event{Kind: event.ChatLeave, Member: "bob", Reason: event.MembershipEnded},
			"* bob is out of reach: this peer's own membership has ended",
		},
		{event.Event{Kind: event.MemberJoin, Member: "bob"}, "* bob joined"},
		{event.Event{Kind: event.MemberSuspect, Member: "bob"}, "* bob is suspect"},
		{event.Event{Kind: event.MemberRefute, Member: "bob"}, "* bob is alive after all"},
		{event.Event{Kind: event.MemberRefute, Member: "alice"}, ""},
		{event.Event{Kind: event.MemberDead, Member: "bob"}, "* bob is dead"},
		{event.Event{Kind: event.MemberLeft, Member: "bob"}, "* bob left"},
		{event.Event{Kind: event.MemberUpdate, Member: "bob"}, ""},
		{event.Event{Kind: event.BootstrapError, Error: "down"}, "* bootstrap service: down"},
		{event.Event{Kind: event.BootstrapError, Error: "down", Shell: "own"}, ""},
	} {
		if got := noticeOf("alice", "own", 80, tc.e); got != tc.want {
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

func TestMissedEventsAreTold(t *testing.T) {
	s := &session{editor: &editor{arrived: make(chan struct{}, 1)}, peer: &gaps{}, end: func(error) {}, columns: func() int { return 80 }}
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
