package chat

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"peerlab/event"
	"peerlab/peer/chat/chatpb"
)

// Anti-entropy: members compare what they have and pull what they lack, from
// anybody who has it. So what an author could not push is repaired, and what
// only some got of an author that died reaches all.

const (
	// askAgain is after how long what one member was asked for, in vain, is
	// asked of another.
	askAgain = 2 * time.Second
	// inFlight is how long after a push of its author what is missing of it is
	// taken to be on its way.
	inFlight = 200 * time.Millisecond
	// patience is how long present members that are not known to be unreachable
	// are waited for before it is settled without them where a conversation
	// begins.
	patience = 5 * time.Second
	// Of many members that are new or back, so many are compared with at once.
	introductions      = 8
	freshIntroductions = 64 // by who is fresh
)

// asked is what was pulled last of one writer.
type asked struct {
	last uint64
	of   *session
	at   time.Time
}

// repair compares with a random member now and then.
func (c *Chat) repair() {
	for {
		pause := time.NewTimer(c.SyncEvery/2 + rand.N(c.SyncEvery))
		select {
		case <-pause.C:
		case <-c.ctx.Done():
			pause.Stop()
			return
		}
		c.mu.Lock()
		c.settle()
		c.closeGaps()
		c.history.forget()
		maps.DeleteFunc(c.sent, func(w writer, _ uint64) bool { // who comes back is named again
			return c.history.tracks[w] == nil && c.shown[w.name] != w.incarnation
		})
		if present := c.present(); len(present) > 0 && !c.flaws.noSync {
			c.compare(present[rand.IntN(len(present))])
		}
		c.mu.Unlock()
	}
}

// introduced says whether to compare at once with a member that is new or
// back; the caller holds c.mu.
func (c *Chat) introduced() bool {
	few := introductions
	if !c.settled {
		few = freshIntroductions
	}
	return rand.IntN(len(c.members)+1) < few
}

// compare starts a sync with m; the caller holds c.mu.
func (c *Chat) compare(m *member) {
	if m.out != nil {
		m.out.syncDue = true
		wake(m.out.wake)
		return
	}
	m.wanted = true
	c.call(m)
}

// takeSync takes in what the other side of s has; the caller holds c.mu.
func (c *Chat) takeSync(s *session, f *chatpb.Sync) {
	m := s.member
	c.stats.Syncs++
	for w, seq := range vectorOf(f.GetHave()) {
		c.learn(m, w, seq)
	}
	m.floor = vectorOf(f.GetFloor())
	if m.answered = true; !c.settled {
		m.since, m.sees = vectorOf(f.GetSince()), writersOf(f.GetPresent())
		if !slices.Contains(c.answers, m) {
			c.answers = append(c.answers, m)
		}
		c.tryOthers()
	}
	if m.settled = f.GetSettled(); m.settled {
		m.known = nil
	}
	if f.GetAnswer() {
		s.syncDue, s.answering = true, true
	}
	c.settle()
	c.closeGaps()
	s.pullDue = true
}

// syncFrame returns what this peer has, for m; the caller holds c.mu.
func (c *Chat) syncFrame(m *member, answer bool) *chatpb.Sync {
	f := &chatpb.Sync{
		Have: c.history.haves().marks(), Floor: c.history.floors().marks(),
		Settled: c.settled, Answer: answer,
	}
	if !m.settled {
		f.Since = m.known.marks()
		for _, o := range c.present() {
			if o != m {
				f.Present = append(f.Present, &chatpb.Mark{Author: o.name, Incarnation: o.incarnation})
			}
		}
	}
	return f
}

// tryOthers gives members that could not be reached another chance, when the
// first has been reached: all of them may have been cut off until now.
func (c *Chat) tryOthers() {
	if !c.answered.IsZero() {
		return
	}
	c.answered = time.Now()
	for _, m := range c.present() {
		if m.failed && !m.answered {
			m.failed = false
			wake(m.wake)
		}
	}
}

// unheardOf returns how many are there according to members that have answered
// of whom membership has not told yet.
func (c *Chat) unheardOf() int {
	unknown := make(map[writer]struct{})
	for _, m := range c.answers {
		for _, w := range m.sees {
			if known := c.members[w.name]; w.name != c.Name && (known == nil || known.incarnation < w.incarnation) {
				unknown[w] = struct{}{}
			}
		}
	}
	return len(unknown)
}

// settle finds out where the conversation begins for the reader at a peer that
// is fresh: with what any of the others had not delivered yet when it learned
// that this peer is there. What was said before is taken in like everything
// else, since others may lack it, but not shown. Until it is settled nothing is
// delivered. The caller holds c.mu.
func (c *Chat) settle() {
	if c.settled || c.answered.IsZero() {
		return
	}
	open := c.unheardOf()
	for _, m := range c.present() {
		if !m.answered && !m.failed {
			open++
		}
	}
	if open > 0 && len(c.answers) < freshIntroductions/2 && time.Since(c.answered) < patience {
		return
	}
	begin := make(vector)
	for _, m := range c.answers {
		for w, seq := range m.since {
			begin[w] = max(begin[w], seq)
		}
	}
	for w := range begin {
		for _, m := range c.answers {
			// Another fresh one knows only where itself stands.
			if m.settled || m.writer == w {
				begin[w] = min(begin[w], m.since[w])
			}
		}
	}
	c.begin, c.settled = begin, true
	c.store.settle(begin)
	c.deliverHeld()
	for _, m := range c.answers {
		m.since, m.sees = nil, nil
		for _, s := range m.sessions {
			s.pullDue, s.syncDue = true, true // which tells that it is settled
			wake(s.wake)
		}
	}
	c.answers = nil
	c.acknowledge()
}

// skip gives up w's messages up to seq, and tells w.
func (c *Chat) skip(w writer, seq uint64) {
	c.history.skip(w, seq)
	c.ackTo(w)
}

// closeGaps gives up messages that nobody keeps any more: everybody present
// has a floor above what this peer has of the writer. The caller holds c.mu.
func (c *Chat) closeGaps() {
	if !c.settled {
		return
	}
	present := c.present()
	begin := make(vector)
	for _, m := range present {
		for w, floor := range m.floor {
			if floor > c.history.have(w) && !c.history.past(w, floor) && w != c.self {
				begin[w] = max(begin[w], floor)
			}
		}
	}
	if len(begin) == 0 {
		c.gaps = time.Time{}
		return
	}
	if c.gaps.IsZero() {
		c.gaps = time.Now()
	}
	if slices.ContainsFunc(present, func(m *member) bool { return !m.answered }) && time.Since(c.gaps) < patience {
		for _, m := range present {
			if !m.answered {
				c.compare(m)
			}
		}
		return
	}
	for w, seq := range begin {
		for _, m := range present {
			if m.have[w] > c.history.have(w) {
				seq = min(seq, m.floor[w])
			}
		}
		if have := c.history.have(w); seq > have {
			c.stats.Skipped += seq - have
			c.skip(w, seq)
			id := ID{w.name, w.incarnation, seq}
			c.Events.Emit(event.Event{Kind: event.ChatSkipped, Message: id.String(), Member: w.name, Messages: seq - have})
		}
	}
	c.store.skip(c.history)
	c.held.purge(c.history)
	c.deliverHeld()
	c.acknowledge()
}

// behind says whether m is known to have something this peer lacks.
func (c *Chat) behind(m *member) bool {
	for w, seq := range m.have {
		if w != c.self && !c.history.past(w, seq) {
			return true
		}
	}
	return false
}

// lacks returns what to pull over s now; the caller holds c.mu.
func (c *Chat) lacks(s *session) []*chatpb.Range {
	if c.flaws.noSync || !c.settled {
		return nil
	}
	var ranges []*chatpb.Range
	now := time.Now()
	for w, top := range s.member.have {
		have := c.history.have(w)
		if w == c.self || c.history.past(w, top) || s.member.floor[w] > have {
			continue
		}
		if author := c.find(w); author != nil && author != s.member && now.Sub(author.flowing) < inFlight {
			continue
		}
		if a, ok := c.asked[w]; ok && a.last > have && now.Sub(a.at) < askAgain {
			if a.of != s {
				s.askLater(askAgain)
			}
			continue
		}
		before := len(ranges)
		last := have
		for first := have + 1; first <= top && len(ranges) < maxRanges; {
			if c.held.has(w, first) {
				first++
				continue
			}
			last = c.gapEnd(w, first, top)
			ranges = append(ranges, &chatpb.Range{Author: w.name, Incarnation: w.incarnation, First: first, Last: last})
			first = last + 1
		}
		if len(ranges) > before {
			c.asked[w] = asked{last, s, now}
		}
	}
	return ranges
}

// gapEnd returns the last message from first to top before one that is held.
func (c *Chat) gapEnd(w writer, first, top uint64) uint64 {
	end := top
	for seq := range c.held.of[w] {
		if seq > first && seq <= end {
			end = seq - 1
		}
	}
	return end
}

// wanted says whether the message was pulled over s; the caller holds c.mu.
func (c *Chat) wanted(s *session, w writer, seq uint64) bool {
	a, ok := c.asked[w]
	return ok && a.of == s && seq <= a.last
}
