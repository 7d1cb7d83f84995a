package shell

import (
	"fmt"
	"strings"
	"sync"

	"peerlab/event"
	"peerlab/terminal"
)

// noticeOf returns the line that tells the user of peer self of e, "" if e is
// not worth one. It is safe on a terminal.
func noticeOf(self string, e event.Event) string {
	if e.Member == self {
		return "" // the user's own doing, which the command has told
	}
	var line string
	switch e.Kind {
	case event.ChatDelivered:
		line = "<" + e.Member + "> " + e.Text
	case event.ChatSkipped:
		line = fmt.Sprintf("<skipped> %d messages of %s, which nobody keeps any more", e.Messages, e.Member)
	case event.ChatJoin:
		line = "<joined> " + e.Member + " has joined"
	case event.ChatLeave:
		line = "<left> " + e.Member + " has left"
		if e.Reason == "leave" {
			line = "<left> " + e.Member + " is leaving"
		}
	case event.MemberJoin:
		line = "* " + e.Member + " joined"
	case event.MemberSuspect:
		line = "* " + e.Member + " is suspect"
	case event.MemberRefute:
		line = "* " + e.Member + " is alive after all"
	case event.MemberDead:
		line = "* " + e.Member + " is dead"
	case event.MemberLeft:
		line = "* " + e.Member + " left"
	}
	return terminal.Line(line)
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
