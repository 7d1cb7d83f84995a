package testbed

import (
	"time"

	"peerlab/event"
)

// packed is part of a long history in a quarter of the memory: what events of
// one cluster say is said over and over.
type packed struct {
	words  *words
	events []small
	whole  []event.Event // those that do not fit in small
}

// small is an event, its texts by their number in words.
type small struct {
	at                            int64 // Unix nanoseconds, local time
	seq                           uint32
	peer, kind, member, addr, was uint32
	incarnation                   uint32
	members                       int32
	health                        int32 // or, below zero, -1 minus the place in whole
}

// words are texts by number.
type words struct {
	number map[string]uint32
	text   []string
}

func (w *words) of(text string) uint32 {
	n, ok := w.number[text]
	if !ok {
		if w.number == nil {
			w.number = make(map[string]uint32)
		}
		n = uint32(len(w.text))
		w.number[text], w.text = n, append(w.text, text)
	}
	return n
}

func pack(w *words, events []event.Event) *packed {
	p := &packed{words: w, events: make([]small, len(events))}
	for i, e := range events {
		s := small{
			at: e.Time.UnixNano(), seq: uint32(e.Seq), incarnation: e.Incarnation,
			members: int32(e.Members), health: int32(e.Health),
			peer: w.of(e.Peer), kind: w.of(string(e.Kind)), member: w.of(e.Member), addr: w.of(e.Addr), was: w.of(e.Was),
		}
		p.events[i] = s
		back := p.at(i)
		if e.Time.Equal(back.Time) && e.Time.Location() == time.Local {
			back.Time = e.Time // which may have a monotonic reading
		}
		if e.Health < 0 || back != e {
			p.events[i].health = int32(-1 - len(p.whole))
			p.whole = append(p.whole, e)
		}
	}
	return p
}

// at unpacks one event.
func (p *packed) at(i int) event.Event {
	s, text := &p.events[i], p.words.text
	if s.health < 0 {
		return p.whole[-1-s.health]
	}
	return event.Event{
		Time: time.Unix(0, s.at), Seq: uint64(s.seq), Peer: text[s.peer], Kind: event.Kind(text[s.kind]),
		Member: text[s.member], Addr: text[s.addr], Incarnation: s.incarnation, Was: text[s.was],
		Members: int(s.members), Health: int(s.health),
	}
}

// after appends the events after the first n to events.
func (p *packed) after(n int, events []event.Event) []event.Event {
	for i := n; i < len(p.events); i++ {
		events = append(events, p.at(i))
	}
	return events
}
