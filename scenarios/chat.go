package scenarios

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerlab/event"
	"peerlab/observe"
)

// mail is what was sent in the chat and who has it.
type mail struct {
	next    int
	now     map[string]*correspondent // the present life of each peer
	present map[string]bool           // who is in the chat
	sent    []*letter
	last    map[string]*correspondent // which life sent last, by author/incarnation
}

// correspondent is one life of a peer.
type correspondent struct {
	began time.Time
	chat  uint64 // the incarnation of its chat
	met   observe.Acquaintances
	has   map[string]bool // messages by id
	// skipped is, by author/incarnation, up to where it has given up what it did
	// not get.
	skipped map[string]uint64
}

// letter is one message.
type letter struct {
	id     string
	stream string // author/incarnation
	seq    uint64
	author string
	text   string
	by     *correspondent
	nth    int // of those it sent
}

func newMail() *mail {
	return &mail{now: map[string]*correspondent{}, present: map[string]bool{}, last: map[string]*correspondent{}}
}

// read takes what has happened since.
func (m *mail) read(w *world) {
	for ; m.next < len(w.events); m.next++ {
		m.take(w.events[m.next])
	}
}

func (m *mail) take(e event.Event) {
	p := m.now[e.Peer]
	if p == nil || e.Kind == event.PeerStarted {
		p = &correspondent{has: map[string]bool{}, skipped: map[string]uint64{}}
		if e.Kind == event.PeerStarted {
			p.began = e.Time
		}
		m.now[e.Peer] = p
		delete(m.present, e.Peer)
	}
	switch e.Kind {
	case event.ChatStart:
		p.chat = e.Life
	case event.ChatJoin:
		m.present[e.Peer], m.present[e.Member] = true, true
		p.met.Joined(e.Member, e.Life, e.Time)
	case event.ChatLeave:
		if e.Reason == "leave" {
			delete(m.present, e.Member)
			p.met.Left(e.Member)
		}
	case event.ChatSent:
		m.present[e.Peer], p.has[e.Message] = true, true
		l := &letter{id: e.Message, author: e.Peer, text: e.Text, by: p, nth: p.met.Sent()}
		l.stream, l.seq = cutID(l.id)
		m.last[l.stream] = p
		m.sent = append(m.sent, l)
	case event.ChatDelivered:
		m.present[e.Peer], p.has[e.Message] = true, true
	case event.ChatSkipped:
		stream, seq := cutID(e.Message)
		p.skipped[stream] = seq
	}
}

// cutID cuts a message's id into what its author's incarnation says and the
// number.
func cutID(id string) (stream string, seq uint64) {
	i := max(0, strings.LastIndexByte(id, '/'))
	seq, _ = strconv.ParseUint(strings.TrimPrefix(id[i:], "/"), 10, 64)
	return id[:i], seq
}

// lacking are those to whom a message is owed, as check chat judges it, and who
// do not have it.
func (m *mail) lacking(w *world, l *letter) (names []string) {
	in := func(name string) bool { return m.present[name] && w.view.Runs(name) }
	known := in(l.author) && m.now[l.author] == m.last[l.stream]
	for name, p := range m.now {
		switch {
		case !in(name) || name == l.author:
		case p.has[l.id]:
			known = true
		case l.seq <= p.skipped[l.stream]:
		case l.by.met.Knew(name, p.chat, p.began, l.nth):
			names = append(names, name)
		}
	}
	if !known {
		return nil
	}
	slices.Sort(names)
	return names
}

// open is the first message that somebody lacks.
func (m *mail) open(w *world) (*letter, []string) {
	for _, l := range m.sent {
		if names := m.lacking(w, l); len(names) > 0 {
			return l, names
		}
	}
	return nil, nil
}

func parseChat(_ *scene, a args) (condition, bool, error) {
	if !slices.Equal(a.text, []string{"chat", "complete"}) {
		return condition{}, false, nil
	}
	m := newMail()
	var last *letter // it lacked somebody: most of the time it still does
	return plain(func(w *world) bool {
		m.read(w)
		if last != nil && len(m.lacking(w, last)) > 0 {
			return false
		}
		last, _ = m.open(w)
		return last == nil
	}, func(w *world) string {
		l, names := m.open(w)
		if l == nil {
			return ""
		}
		return fmt.Sprintf("%s of %s: %q did not reach %s", l.id, l.author, l.text, strings.Join(names, ", "))
	}), true, nil
}
