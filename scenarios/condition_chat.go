package scenarios

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/testbed"
)

// mail is what was sent in the chat and who has it, as far as the world has been
// read.
//
// Whether a message is open, which is that somebody lacks it, is found out
// once for each message: those before next have been looked at, in their order
// and only until one is found that is open. After that deliveries change it one by
// one. What changes to whom any message is owed, such as that a peer
// ends or joins the chat, is rare: then all are looked at anew.
type mail struct {
	now     map[string]*correspondent // the present life of each peer
	present map[string]bool           // who is in the chat
	sent    []*letter
	byID    map[string]*letter        // the latest of each id
	last    map[string]*correspondent // which life sent last, by author/incarnation
	next    int                       // the first that has not been looked at
	open    int                       // how many of those before it are open
	looked  int                       // how many pairs of message and peer were looked at
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
	nth    int     // of those it sent
	same   *letter // one before it of the same id: nobody sends two, but events may say so

	// As it was when it was looked at, and deliveries have changed it since.
	place   int             // in mail.sent
	lacking map[string]bool // who lacks it, if it is open
	lost    bool            // somebody lacks it, and nobody who runs has it
}

func newMail() *mail {
	return &mail{
		now: map[string]*correspondent{}, present: map[string]bool{},
		byID: map[string]*letter{}, last: map[string]*correspondent{},
	}
}

// take takes the next event, which the world has.
func (m *mail) take(w *world, e event.Event) {
	p := m.now[e.Peer]
	if p == nil || e.Kind == event.PeerStarted {
		p = &correspondent{has: map[string]bool{}, skipped: map[string]uint64{}}
		if e.Kind == event.PeerStarted {
			p.began = e.Time
		}
		m.now[e.Peer] = p
		delete(m.present, e.Peer)
		m.lookAgain()
	}
	switch e.Kind {
	case event.PeerStopping, testbed.LabStop, testbed.LabKill, testbed.LabExit:
		m.lookAgain() // somebody does not run any more
	case event.ChatStart:
		p.chat = e.Life
		m.lookAgain()
	case event.ChatJoin:
		m.arrive(e.Peer)
		m.arrive(e.Member)
		p.met.Joined(e.Member, e.Life, e.Time) // to whom only later messages are owed
	case event.ChatLeave:
		if e.Reason == "leave" {
			delete(m.present, e.Member)
			p.met.Left(e.Member)
			m.lookAgain()
		}
	case event.ChatSent:
		m.arrive(e.Peer)
		m.deliver(w, p, e)
		l := &letter{id: e.Message, author: e.Peer, text: e.Text, by: p, nth: p.met.Sent(), same: m.byID[e.Message], place: len(m.sent)}
		l.stream, l.seq = cutID(l.id)
		if last := m.last[l.stream]; last != nil && last != p {
			m.lookAgain() // its author is back, and may be the only one who has the others
		}
		m.last[l.stream], m.byID[l.id] = p, l
		m.sent = append(m.sent, l)
	case event.ChatDelivered:
		m.arrive(e.Peer)
		m.deliver(w, p, e)
	case event.ChatSkipped:
		stream, seq := cutID(e.Message)
		p.skipped[stream] = seq
		m.lookAgain()
	}
}

func (m *mail) arrive(peer string) {
	if !m.present[peer] {
		m.present[peer] = true
		m.lookAgain()
	}
}

// lookAgain has every message be looked at anew.
func (m *mail) lookAgain() { m.next, m.open = 0, 0 }

// deliver notes that a peer has a message.
func (m *mail) deliver(w *world, p *correspondent, e event.Event) {
	p.has[e.Message] = true
	for l := m.byID[e.Message]; l != nil; l = l.same {
		switch {
		case l.place >= m.next:
		case l.lost:
			m.look(w, l)
		case l.lacking[e.Peer]:
			if delete(l.lacking, e.Peer); len(l.lacking) == 0 {
				m.open--
			}
		}
	}
}

// look finds out whether a message is open.
func (m *mail) look(w *world, l *letter) {
	names, known := m.whoLacks(w, l)
	l.lacking, l.lost = nil, !known && len(names) > 0
	if known && len(names) > 0 {
		l.lacking = setOf(names)
		m.open++
	}
}

// complete reports whether no message is open.
func (m *mail) complete(w *world) bool {
	for ; m.open == 0 && m.next < len(m.sent); m.next++ {
		m.look(w, m.sent[m.next])
	}
	return m.open == 0
}

// cutID cuts a message's id into what its author's incarnation says and the
// number.
func cutID(id string) (stream string, seq uint64) {
	i := max(0, strings.LastIndexByte(id, '/'))
	seq, _ = strconv.ParseUint(strings.TrimPrefix(id[i:], "/"), 10, 64)
	return id[:i], seq
}

// whoLacks returns those to whom a message is owed, as check chat judges it, and
// who do not have it; known says whether its author or anybody else who runs
// still has it.
func (m *mail) whoLacks(w *world, l *letter) (names []string, known bool) {
	m.looked += len(m.now)
	in := func(name string) bool { return m.present[name] && w.view.Runs(name) }
	known = in(l.author) && m.now[l.author] == m.last[l.stream]
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
	return names, known
}

// firstOpen returns the first message that is open, and who lacks it. It looks at
// all anew.
func (m *mail) firstOpen(w *world) (*letter, []string) {
	for _, l := range m.sent {
		if names, known := m.whoLacks(w, l); known && len(names) > 0 {
			slices.Sort(names)
			return l, names
		}
	}
	return nil, nil
}

func parseChat(_ *scene, a args) (func() predicate, bool, error) {
	if !slices.Equal(a.text, []string{"chat", "complete"}) {
		return nil, false, nil
	}
	return func() predicate { return chatComplete{} }, true, nil
}

// chatComplete holds when no message is open. The world keeps the mail, so that
// several lines read the history once.
type chatComplete struct{}

func (chatComplete) begin(w *world) {
	if w.mail == nil {
		w.mail = newMail()
		for _, e := range w.events {
			w.mail.take(w, e)
		}
	}
}

func (chatComplete) take(*world, update) {} // the world does it

func (chatComplete) holds(w *world) bool { return w.mail.complete(w) }

func (chatComplete) why(w *world) string {
	l, names := w.mail.firstOpen(w)
	if l == nil {
		return ""
	}
	return fmt.Sprintf("%s of %s: %q did not reach %s", l.id, l.author, l.text, strings.Join(names, ", "))
}
