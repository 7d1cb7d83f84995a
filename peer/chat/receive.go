package chat

import (
	"maps"
	"slices"
	"time"

	"peerlab/event"
)

// receive takes in a message, from wherever, and says whether it is news. The
// caller holds c.mu.
func (c *Chat) receive(a *arrival) bool {
	w, seq := a.by, a.seq
	if seq > maxSeq {
		c.stats.Malformed++
		return false
	}
	inTurn := seq == c.history.have(w)+1 && c.ready(&a.entry)
	if held := c.held.of[w][seq]; inTurn && held != nil && c.reachable(w) == nil {
		c.held.remove(held) // this copy can be delivered, and that one cannot
	}
	if w == c.self || c.history.past(w, seq) || c.held.has(w, seq) {
		c.stats.Duplicates++
		if c.flaws.noDedupe && w != c.self {
			e := a.entry
			e.text = string(a.body)
			c.show(&e)
		}
		return false
	}
	e := new(entry)
	*e = a.entry
	if inTurn {
		if a.given {
			e.text = stringOf(a.body)
		} else {
			e.text = c.texts.keep(a.body)
		}
		if c.flaws.noHoldback {
			c.show(e)
		}
		c.deliver(e)
		c.deliverHeld()
		return true
	}
	e.text = string(a.body) // which may be kept longer than what comes later
	if c.flaws.noHoldback {
		c.show(e)
	}
	if !c.held.add(e) {
		c.stats.Refused++
		return false
	}
	c.stats.HeldBack++
	if c.bridge(w) {
		c.deliverHeld()
	}
	return true
}

// ready says whether everything e follows is behind this peer, its writer's
// own messages apart.
func (c *Chat) ready(e *entry) bool {
	if !c.settled {
		return false
	}
	for _, cause := range e.causes {
		if cause.of != c.self && !c.history.past(cause.of, cause.seq) && c.lost[cause.of] < cause.seq {
			return false
		}
	}
	return true
}

func (c *Chat) deliver(e *entry) {
	if !c.flaws.noHoldback {
		c.show(e)
	}
	c.keep(e)
	c.ackTo(e.by)
}

// show tells the reader of e, if that is part of the conversation for it.
func (c *Chat) show(e *entry) {
	c.meant(e)
	if e.seq <= c.begin[e.by] {
		c.stats.Earlier++
		return
	}
	c.stats.Delivered++
	c.Events.Emit(event.Event{Kind: event.ChatDelivered, Message: c.texts.keep(e.id().append(make([]byte, 0, 64))), Member: e.by.name, Text: e.text})
}

// meant begins the conversation with e if its author knew this peer, whatever
// the members asked had delivered before they knew.
func (c *Chat) meant(e *entry) {
	if e.seq > c.begin[e.by] || !slices.ContainsFunc(e.causes, func(m mark) bool { return m.of == c.self }) {
		return
	}
	c.begin = maps.Clone(c.begin) // the store may be writing it
	c.begin[e.by] = e.seq - 1
	c.store.settle(c.begin)
}

// deliverHeld delivers what is held back for nothing any more.
func (c *Chat) deliverHeld() {
	if c.held.count == 0 {
		return
	}
	for e := c.held.next(c.history, c.ready); e != nil; e = c.held.next(c.history, c.ready) {
		c.deliver(e)
	}
}

// ackTo notes that w is to be told.
func (c *Chat) ackTo(w writer) {
	if n := len(c.acks); n == 0 || c.acks[n-1] != w {
		c.acks = append(c.acks, w)
	}
}

// acknowledge tells authors what was delivered of theirs; the caller holds
// c.mu.
func (c *Chat) acknowledge() {
	for _, w := range c.acks {
		if m := c.find(w); m != nil {
			for _, s := range m.sessions {
				if !s.caller { // the author pushes on those it opened
					s.ackDue = true
					wake(s.wake)
				}
			}
		}
	}
	c.acks = c.acks[:0]
}

// find returns the member of which w is the present life, nil if there is none.
func (c *Chat) find(w writer) *member {
	if m := c.members[w.name]; m != nil && m.writer == w {
		return m
	}
	return c.met[w]
}

// learn notes that m has w's messages up to seq; the caller holds c.mu.
func (c *Chat) learn(m *member, w writer, seq uint64) {
	if seq <= m.have[w] {
		return
	}
	m.have[w] = seq
	c.had = mark{}
	m.progress = time.Now()
	if w == c.self {
		c.acked(m.name, seq)
		c.moved()
	}
}
