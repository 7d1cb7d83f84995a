package chat

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"peerlab/event"
)

// member is one life of another member: what this peer knows it to have, and
// the connections to it. Guarded by Chat.mu.
type member struct {
	writer
	ctx  context.Context // ends when the member is dropped
	stop context.CancelFunc
	addr string    // empty while it is held dead
	last string    // the last addr
	gone time.Time // when addr became empty

	// What its last sync said, as far as that can be true. Of floor only what is
	// above what this peer has.
	have, floor vector
	synced      time.Time           // when that came
	wordAsked   time.Time           // when it was asked what it has written
	failures    map[writer]failures // to relay it
	since       vector              // what it had when it learned of this peer, if this peer is fresh
	sees        []writer            // who else it said was there, if this peer is fresh
	answered    bool                // a sync of it has come
	settled     bool                // it is not fresh
	failed      bool                // the last try to reach it
	known       vector              // what this peer had when it learned of the member; nil once that is settled
	flowing     time.Time           // when it last pushed a message
	progress    time.Time           // when it took something, or had nothing to take

	calling  bool // a goroutine connects, or holds a connection
	wanted   bool // a sync with it is due
	wake     chan struct{}
	out      *session // by which this peer pushes
	sessions []*session
}

// meet makes a member, or returns the one that has called before; the caller
// holds c.mu.
func (c *Chat) meet(w writer) *member {
	if m := c.members[w.name]; m != nil && m.writer == w {
		return m
	}
	if m := c.met[w]; m != nil {
		return m
	}
	m := &member{
		writer: w, have: make(vector), known: c.history.haves(), wake: make(chan struct{}, 1),
		gone: time.Now(), progress: time.Now(),
	}
	m.ctx, m.stop = context.WithCancel(c.ctx)
	return m
}

// Update tells the chat everyone membership knows, this peer excluded. A
// member missing from it counts as found dead. Nil is that this peer's own
// membership has ended.
func (c *Chat) Update(members []Presence) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return
	}
	listed := make(map[string]Presence, len(members))
	for _, p := range members {
		// A name that cannot stand in a frame would make every frame unreadable
		// that names the member.
		if p.Name != c.Name && writableName(p.Name) && (p.Addr == "" || p.Incarnation != 0) {
			listed[p.Name] = p
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.shown)) {
		p := listed[name]
		if p.Addr != "" && p.Incarnation == c.shown[name] {
			continue
		}
		// Here no more, or here again after a restart nobody noticed.
		reason := "gone"
		if members == nil {
			reason = event.MembershipEnded
		}
		if p.Graceful || p.Addr != "" {
			reason = "leave"
		}
		delete(c.shown, name)
		c.Events.Emit(event.Event{Kind: event.ChatLeave, Member: name, Reason: reason})
		if reason == "leave" {
			c.drop(name)
		} else if m := c.members[name]; m != nil {
			c.moveTo(m, "")
		}
	}
	for _, p := range slices.SortedFunc(maps.Values(listed), func(a, b Presence) int { return cmp.Compare(a.Name, b.Name) }) {
		if p.Addr == "" {
			if p.Graceful {
				c.drop(p.Name)
			}
			continue
		}
		w := writer{p.Name, p.Incarnation}
		m := c.members[p.Name]
		if m != nil && m.writer != w {
			c.drop(p.Name) // what it did not get belongs to an earlier life
			m = nil
		}
		if m == nil {
			m = c.meet(w)
			delete(c.met, w)
			c.members[p.Name] = m
			c.history.remember(w)
			for _, s := range m.sessions { // what it said before did not count
				s.syncDue = true
				wake(s.wake)
			}
		}
		c.moveTo(m, p.Addr)
		if c.shown[p.Name] == 0 {
			c.shown[p.Name] = p.Incarnation
			c.Events.Emit(event.Event{Kind: event.ChatJoin, Member: p.Name, Addr: p.Addr, Life: p.Incarnation})
		}
	}
	for name, m := range c.members {
		if m.addr == "" && time.Since(m.gone) > forgetAfter {
			c.drop(name)
		}
	}
	c.had = mark{}
	c.settle()
	c.moved()
}

// moveTo changes the member's address; empty means it cannot be reached now.
// The caller holds c.mu.
func (c *Chat) moveTo(m *member, addr string) {
	if m.addr == addr {
		return
	}
	was := m.addr
	m.addr = addr
	if addr == "" {
		m.gone = time.Now()
	} else {
		m.last = addr
	}
	if was != "" && m.out != nil {
		_ = m.out.conn.Close()
	}
	if addr == "" {
		return
	}
	// New, or back: each may have what the other missed.
	if !c.flaws.noSync && c.introduced() {
		c.compare(m)
	}
	c.push(m)
	wake(m.wake)
}

// drop ends the connections to name and forgets it; the caller holds c.mu.
func (c *Chat) drop(name string) {
	m := c.members[name]
	if m == nil {
		return
	}
	m.stop()
	for _, s := range m.sessions {
		_ = s.conn.Close()
	}
	delete(c.members, name)
}

// present returns everyone in the chat who is not held dead; the caller holds
// c.mu.
func (c *Chat) present() []*member {
	var present []*member
	for _, m := range c.members {
		if m.addr != "" {
			present = append(present, m)
		}
	}
	return present
}

// Members returns everyone in the chat but this peer, by name.
func (c *Chat) Members() []Presence {
	c.mu.Lock()
	defer c.mu.Unlock()
	var members []Presence
	for _, name := range slices.Sorted(maps.Keys(c.shown)) {
		if m := c.members[name]; m != nil {
			members = append(members, Presence{Name: name, Addr: m.addr, Incarnation: c.shown[name]})
		}
	}
	return members
}

// wake puts the one token into ch.
func wake(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
