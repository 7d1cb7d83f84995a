package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"peerlab/event"
)

// mail is what was sent in the chat and who has it.
type mail struct {
	next  int
	life  map[string]int // how often a peer has started
	sent  []*letter
	by    map[string]*letter // by id
	ready map[string]bool
}

// letter is one message.
type letter struct {
	id     string
	author string
	text   string
	// to are those to whom it matters: who was in the cluster when it was
	// sent, each with its life then.
	to  map[string]int
	has map[string]bool
}

func newMail() *mail {
	return &mail{life: map[string]int{}, by: map[string]*letter{}, ready: map[string]bool{}}
}

// read takes what has happened since.
func (m *mail) read(w *world) {
	for ; m.next < len(w.events); m.next++ {
		e := w.events[m.next]
		switch e.Kind {
		case event.PeerStarted:
			m.life[e.Peer]++
			delete(m.ready, e.Peer)
		case event.ChatJoin:
			m.ready[e.Peer] = true // it has met somebody: from now on it is told
		case event.ChatSent:
			l := m.letter(e.Message)
			l.author, l.text = e.Peer, e.Text
			l.to = map[string]int{e.Peer: m.life[e.Peer]}
			for name := range m.ready {
				l.to[name] = m.life[name]
			}
			l.has[e.Peer] = true
		case event.ChatDelivered:
			m.ready[e.Peer] = true
			m.letter(e.Message).has[e.Peer] = true
		}
	}
}

// letter returns the message of this id: it may be delivered, as far as the
// history tells, before it is sent.
func (m *mail) letter(id string) *letter {
	l := m.by[id]
	if l == nil {
		l = &letter{id: id, has: map[string]bool{}}
		m.by[id] = l
		m.sent = append(m.sent, l)
	}
	return l
}

// lacking are those who should have a message and do not.
func (m *mail) lacking(w *world, l *letter) (names []string) {
	lives := func(name string) bool { return w.view.Runs(name) && m.life[name] == l.to[name] }
	known := slices.ContainsFunc(holders(l), lives)
	for name := range l.to {
		if known && lives(name) && !l.has[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func holders(l *letter) []string {
	var names []string
	for name := range l.has {
		names = append(names, name)
	}
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
