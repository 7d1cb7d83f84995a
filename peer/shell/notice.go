package shell

import (
	"fmt"
	"strings"
	"sync"

	"peerlab/event"
	"peerlab/terminal"
)

// noticeRows is how many rows of the terminal a notice may take.
const noticeRows = 5

// noticeOf returns the line that tells the user of peer self of e, "" if e is
// not worth one. What was done in the user's own shell, which has that name, is
// not: the command has told. The line is safe on a terminal with so many columns,
// and not longer than a few of its rows.
func noticeOf(self, shell string, columns int, e event.Event) string {
	line := terminal.Line(describe(self, shell, e))
	shown := terminal.Truncate(line, noticeRows*columns)
	if left := len(line) - len(shown); left > 0 {
		size := fmt.Sprintf("%d bytes", left)
		if left >= 1000 {
			size = fmt.Sprintf("%d kB", left/1000)
		}
		where := "events -kind " + string(e.Kind)
		if e.Kind == event.ChatSent || e.Kind == event.ChatDelivered {
			where = "chat history"
		}
		return shown + "… " + size + " more: " + where + " has all of it"
	}
	return line
}

// describe is noticeOf, as it comes from the others.
func describe(self, shell string, e event.Event) string {
	if e.Member == self {
		return ""
	}
	switch e.Kind {
	case event.ChatSent, event.BootstrapError:
		if e.Shell == shell {
			return ""
		}
	}
	switch e.Kind {
	case event.BootstrapError:
		return "* bootstrap service: " + e.Error
	case event.MemberJoin:
		return "* " + e.Member + " joined"
	case event.MemberSuspect:
		return "* " + e.Member + " is suspect"
	case event.MemberRefute:
		return "* " + e.Member + " is alive after all"
	case event.MemberDead:
		return "* " + e.Member + " is dead"
	case event.MemberLeft:
		return "* " + e.Member + " left"
	}
	e.Peer = self
	return event.ChatLine(e)
}

// maxNotices is how many lines wait for a terminal that takes none: a peer's
// events must not pile up in a shell whose window is frozen.
const maxNotices = 1000

// notices are lines waiting to be shown. All methods may be called
// concurrently.
type notices struct {
	mu      sync.Mutex
	lines   []string
	dropped int // older than lines
}

// add appends a line, which must be safe on a terminal.
func (n *notices) add(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.lines) == maxNotices {
		n.lines = append(n.lines[:0], n.lines[1:]...)
		n.dropped++
	}
	n.lines = append(n.lines, line)
}

// take returns all lines as one text, and forgets them.
func (n *notices) take() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.lines) == 0 {
		return ""
	}
	text := strings.Join(n.lines, "\n") + "\n"
	if n.dropped > 0 {
		text = fmt.Sprintf("* %d lines were not shown\n", n.dropped) + text
	}
	n.lines, n.dropped = nil, 0
	return text
}
