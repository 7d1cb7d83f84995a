package chat

import (
	"cmp"
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
	have uint64 // up to where it had come by then
}

// failures counts how often a member did not serve what it said it has.
type failures struct {
	count int
	last  time.Time
}

const (
	// maxFailures is how often in a row a member may fail to serve a writer's
	// messages. After that its word on this writer does not count for distrustFor.
	maxFailures = 3
	distrustFor = time.Minute
)

// distrusts reports whether m's word on w does not count.
func (m *member) distrusts(w writer, now time.Time) bool {
	f, ok := m.failures[w]
	return ok && f.count >= maxFailures && now.Sub(f.last) < distrustFor
}

// askedInVain notes that a's member served nothing of w since it was asked, if so.
func (c *Chat) askedInVain(w writer, a asked, now time.Time) {
	m := a.of.member
	if c.history.have(w) > a.have {
		return
	}
	f := m.failures[w]
	if now.Sub(f.last) >= distrustFor {
		f.count = 0
	}
	if m.failures == nil {
		m.failures = make(map[writer]failures)
	}
	m.failures[w] = failures{f.count + 1, now}
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
		c.expireRequests(time.Now())
		c.dropOrphans()
		c.excuse(time.Now())
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

// expireRequests forgets what was asked for long ago. The caller holds c.mu.
func (c *Chat) expireRequests(now time.Time) {
	for w, a := range c.asked {
		have := c.history.have(w)
		if have < a.last && now.Sub(a.at) < 3*askAgain {
			continue
		}
		if have < a.last {
			c.askedInVain(w, a, now)
		}
		delete(c.asked, w)
	}
	maps.DeleteFunc(c.stuck, func(w writer, s stuck) bool { return c.history.have(w) >= s.seq })
}

// dropOrphans drops messages that are held back, of writers that neither
// membership nor a member that is present names. The caller holds c.mu.
func (c *Chat) dropOrphans() {
	for w := range c.held.of {
		if c.isMember(w) || c.met[w] != nil {
			continue
		}
		named := false
		for _, m := range c.members {
			named = named || m.addr != "" && m.have[w] > 0
		}
		if !named {
			c.held.drop(w)
		}
	}
}

// isMember reports whether membership knows this life, found dead or not.
func (c *Chat) isMember(w writer) bool {
	m := c.members[w.name]
	return m != nil && m.writer == w || w == c.self
}

// reachable returns the member of which w is the present life, nil unless it can
// be asked and gives what it says it has written.
func (c *Chat) reachable(w writer) *member {
	m := c.members[w.name]
	if m == nil || m.writer != w || m.addr == "" || m.failed {
		return nil
	}
	if now := time.Now(); m.synced.Before(m.wordAsked) && now.Sub(m.wordAsked) >= askAgain || m.distrusts(w, now) {
		return nil
	}
	return m
}

// isAhead reports whether w is a later life of a member that is present than
// membership knows of. Membership will tell, if there is one.
func (c *Chat) isAhead(w writer) bool {
	m := c.members[w.name]
	return m != nil && m.addr != "" && w.incarnation > m.incarnation || w.name == c.Name && w.incarnation > c.self.incarnation
}

// knows reports whether membership or a message told of w.
func (c *Chat) knows(w writer) bool {
	return c.isMember(w) || c.history.knows(w) || c.held.names(w)
}

// takeSync takes in what the other side of s has; the caller holds c.mu.
func (c *Chat) takeSync(s *session, f *chatpb.Sync) {
	m := s.member
	c.stats.Syncs++
	c.takeVector(s, f.GetHave(), f.GetFloor())
	m.synced = time.Now()
	if c.members[m.name] == m {
		if m.answered = true; !c.settled {
			m.since, m.sees = vectorOf(f.GetSince()), writersOf(f.GetPresent())
			if !slices.Contains(c.answers, m) {
				c.answers = append(c.answers, m)
			}
			c.tryOthers()
		}
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

// takeVector replaces what is known of what the other side of s has and keeps.
// A frame is not believed beyond what can be true: of this peer's own messages
// it cannot have more than there are, and a floor is not above what its sender
// has. Marks of writers that neither membership nor a message told of are not
// kept; some of them are asked for. The caller holds c.mu.
func (c *Chat) takeVector(s *session, have, floor []*chatpb.Mark) {
	m, before := s.member, s.member.have
	m.have, m.floor, s.offers = make(vector), nil, nil
	if own := before[m.writer]; own > 0 { // as pushed
		m.have[m.writer] = own
	}
	// Whoever membership does not know is told everything, and asked nothing.
	mayOffer := c.members[m.name] == m && c.mayAskForOffers(s)
	progress := false
	for _, mark := range have {
		w, seq := writer{mark.GetAuthor(), mark.GetIncarnation()}, mark.GetSeq()
		switch {
		case seq > maxSeq, c.isAhead(w):
			continue
		case w == c.self:
			seq = max(min(seq, c.history.have(w)), before[w])
		case w == m.writer:
			seq = max(seq, before[w])
		case !c.knows(w):
			if mayOffer && seq > 0 && len(s.offers) < maxRanges {
				s.addOffer(w, seq)
			}
			continue
		}
		m.have[w] = seq
		progress = progress || seq > before[w]
	}
	if c.members[m.name] == m {
		c.takeOwnWord(m, m.have[m.writer])
	}
	// A vector has an end. What it does not name and messages are kept of, its
	// sender has all the same.
	for w, seq := range before {
		if _, told := m.have[w]; !told && (w == c.self || c.history.keeps(w)) {
			m.have[w] = seq
		}
	}
	for _, mark := range floor {
		w, seq := writer{mark.GetAuthor(), mark.GetIncarnation()}, mark.GetSeq()
		if o, ok := s.offers[w]; ok {
			o.floor = min(seq, o.have)
			s.offers[w] = o
			continue
		}
		if seq = min(seq, m.have[w]); w != c.self && !c.history.past(w, seq) {
			if m.floor == nil {
				m.floor = make(vector)
			}
			m.floor[w] = seq
		}
	}
	c.had = mark{}
	if progress {
		m.progress = time.Now()
	}
	if own := m.have[c.self]; own > before[c.self] {
		c.acked(m.name, own)
		c.moved()
	}
}

// takeOwnWord takes in what m says it has written itself, which nobody knows
// better: what was given up beyond that, on a word that was believed by a
// version before or is damaged on disk, is not given up.
func (c *Chat) takeOwnWord(m *member, wrote uint64) {
	w := m.writer
	had := c.history.have(w)
	if c.history.wrote(w, wrote) {
		c.Log.Warn("more was given up of a member than it has written: it is waited for again",
			"member", w.name, "given_up", had, "written", wrote)
		c.store.skip(c.history)
	}
	if have := max(wrote, c.history.have(w)); c.begin[w] > have {
		c.begin = maps.Clone(c.begin) // the store may be writing it
		c.begin[w] = have
		c.store.settle(c.begin)
	}
}

// offer is what a member has of a writer that is not known otherwise.
type offer struct{ have, floor uint64 }

func (s *session) addOffer(w writer, have uint64) {
	if s.offers == nil {
		s.offers = make(map[writer]offer)
	}
	s.offers[w] = offer{have: have}
}

// mayAskForOffers reports whether what was asked for last on s, of writers that
// were not known, has come or had the time to.
func (c *Chat) mayAskForOffers(s *session) bool {
	if time.Since(s.offersAsked) >= askAgain {
		return true
	}
	for _, w := range s.outstanding {
		if !c.knows(w) {
			return false
		}
	}
	return true
}

// syncFrame returns what this peer has, for m; the caller holds c.mu.
func (c *Chat) syncFrame(m *member, answer bool) *chatpb.Sync {
	f := &chatpb.Sync{Settled: c.settled, Answer: answer}
	have, floor, since := c.history.haves(), c.history.floors(), vector(nil)
	if !m.settled {
		since = maps.Clone(m.known)
		size := 0
		for _, o := range c.present() {
			if size += maxMarkSize(o.name); len(f.Present) == maxMarks || size > maxFrame/4 {
				break
			}
			if o != m {
				f.Present = append(f.Present, &chatpb.Mark{Author: o.name, Incarnation: o.incarnation})
			}
		}
	}
	if left := c.limit(have, floor, since); left != c.leftOut {
		if c.leftOut == 0 {
			c.Log.Warn("there are more writers than a version vector holds: those of whom nothing is kept are left out first",
				"left_out", left, "limit", maxMarks)
		}
		c.leftOut = left
	}
	f.Have, f.Floor, f.Since = have.marks(), floor.marks(), since.marks()
	return f
}

// maxMarkSize is the most that a mark of that name takes in a frame, in bytes.
func maxMarkSize(name string) int { return len(name) + 32 }

// limit removes marks from the vectors until receivers take the frame, and
// returns of how many writers. Members stay first, then writers of whom messages
// are kept, then later lives.
func (c *Chat) limit(vectors ...vector) (left int) {
	size, most := 0, 0
	for _, v := range vectors {
		most = max(most, len(v))
		for w := range v {
			size += maxMarkSize(w.name)
		}
	}
	const limit = maxFrame / 8 * 5 // a quarter is for who is present
	if most <= maxMarks && size <= limit {
		return 0
	}
	all := make(map[writer]struct{}, most)
	for _, v := range vectors {
		for w := range v {
			all[w] = struct{}{}
		}
	}
	rank := func(w writer) int {
		switch {
		case w == c.self:
			return 0
		case c.isMember(w):
			return 1
		case c.history.keeps(w):
			return 2
		}
		return 3
	}
	sorted := slices.SortedFunc(maps.Keys(all), func(a, b writer) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.incarnation, a.incarnation), cmp.Compare(a.name, b.name))
	})
	size, most = 0, 0
	for _, w := range sorted {
		more := 0
		for _, v := range vectors {
			if _, ok := v[w]; ok {
				more += maxMarkSize(w.name)
			}
		}
		if most < maxMarks && size+more <= limit {
			size += more
			most++
			continue
		}
		for _, v := range vectors {
			delete(v, w)
		}
		left++
	}
	return left
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

// giveUp gives up w's messages up to seq, and tells w and the reader.
func (c *Chat) giveUp(w writer, seq uint64) {
	c.tellGivenUp(w, seq)
	c.history.skip(w, seq)
	c.ackTo(w)
	c.store.skip(c.history)
	c.held.purge(c.history)
}

// tellGivenUp tells the reader that w's messages up to seq are given up, but for
// those of before its time.
func (c *Chat) tellGivenUp(w writer, seq uint64) {
	from := max(c.history.have(w), c.told[w], c.begin[w])
	if seq <= from {
		return
	}
	if c.told == nil {
		c.told = make(vector)
	}
	c.told[w] = seq
	c.stats.Skipped += seq - from
	id := ID{w.name, w.incarnation, seq}
	c.Events.Emit(event.Event{Kind: event.ChatSkipped, Message: id.String(), Member: w.name, Messages: seq - from})
}

// bridge gives up what is missing before the next message of w that is held, if
// nobody keeps it, and reports whether it did.
func (c *Chat) bridge(w writer) bool {
	lost := c.lost[w]
	if lost == 0 || lost <= c.history.have(w) {
		return false
	}
	next := c.held.first(w)
	if next < 2 || next-1 > lost || next-1 <= c.history.have(w) {
		return false
	}
	c.giveUp(w, next-1)
	return true
}

// closeGaps finds out which messages nobody keeps any more: those below a floor,
// unless somebody who is present has more than this peer and a lower floor.
//
// A floor is somebody's word, and a wrong one must not silence a writer. So of a
// member that can be reached only its own word counts. On others' word nothing
// is given up: what follows a lost message does not wait for it, that is all,
// until a message beyond it is at hand. The caller holds c.mu.
func (c *Chat) closeGaps() {
	if !c.settled {
		return
	}
	now := time.Now()
	lost := make(vector)
	for _, m := range c.members {
		if m.addr == "" {
			continue
		}
		for w, floor := range m.floor {
			if w == c.self || c.history.past(w, floor) {
				continue
			}
			if author := c.reachable(w); author != nil && author != m {
				if author.floor[w] < floor && c.held.count > 0 {
					c.askForWord(author, now)
				}
				continue
			}
			lost[w] = max(lost[w], floor)
		}
	}
	maps.DeleteFunc(c.told, func(w writer, seq uint64) bool { return seq <= c.history.have(w) })
	if len(lost) == 0 {
		c.gaps, c.lost = time.Time{}, nil
		return
	}
	if c.gaps.IsZero() {
		c.gaps = now
	}
	present := c.present()
	if slices.ContainsFunc(present, func(m *member) bool { return !m.answered }) && now.Sub(c.gaps) < patience {
		for _, m := range present {
			if !m.answered {
				c.compare(m)
			}
		}
		return
	}
	for w := range lost {
		for _, m := range present {
			if m.have[w] > c.history.have(w) && !m.distrusts(w, now) {
				lost[w] = min(lost[w], m.floor[w])
			}
		}
	}
	maps.DeleteFunc(lost, func(w writer, seq uint64) bool { return seq <= c.history.have(w) })
	c.lost = lost
	for w, seq := range lost {
		// However far away a number is, what is given up on it is a horizon.
		within := c.history.have(w) + min(seq-c.history.have(w), uint64(c.Limits.Horizon))
		if c.bridge(w) {
			continue
		}
		author := c.members[w.name]
		switch here := author != nil && author.writer == w && author.addr != ""; {
		case here && c.reachable(w) != nil:
			c.giveUp(w, within)
			c.history.confirm(w)
		case !here: // one that is here may be reached again
			c.tellGivenUp(w, within)
		}
	}
	c.deliverHeld()
	c.acknowledge()
}

// askForWord compares with a writer, but not all the time, and not while it owes
// an answer.
func (c *Chat) askForWord(author *member, now time.Time) {
	if !author.synced.Before(author.wordAsked) && now.Sub(author.wordAsked) >= askAgain {
		author.wordAsked = now
		c.compare(author)
	}
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

// excuse delivers messages that wait for a cause which does not exist. An author
// with a fault may have sent a message to one peer and deny it to others, or name
// what nobody wrote; who answered it, and has no fault, must not be held up. So a
// cause is not waited for if its author, asked since, says it has not written so
// much; or, where that author cannot be asked, if nobody claims to have it, not
// even who named it; and none is waited for longer than causeTimeout. The caller
// holds c.mu.
func (c *Chat) excuse(now time.Time) {
	if !c.settled || c.held.count == 0 {
		return
	}
	var excused []*entry
	var late *entry // that has waited too long for what is not here
	for w, held := range c.held.of {
		e := held[c.history.have(w)+1]
		if e == nil {
			continue
		}
		was := c.stuck[w]
		if was.seq != e.seq {
			c.stuck[w] = stuck{e.seq, now}
			continue
		}
		waited := now.Sub(was.since)
		mayCome := func(cause mark) bool { return c.mayCome(e, cause, was.since, now) }
		switch {
		case waited >= askAgain && !slices.ContainsFunc(e.causes, mayCome):
			excused = append(excused, e)
		case waited >= causeTimeout && (late == nil || !c.waitsForHeld(e)):
			late = e
		}
	}
	if len(excused) == 0 && late != nil {
		excused = append(excused, late) // others may have waited for this one
	}
	for _, e := range excused {
		c.held.remove(e)
		c.deliver(e)
	}
	c.deliverHeld()
	c.acknowledge()
}

// waitsForHeld reports whether a cause of e is held back itself.
func (c *Chat) waitsForHeld(e *entry) bool {
	return slices.ContainsFunc(e.causes, func(cause mark) bool { return c.held.of[cause.of][cause.seq] != nil })
}

// causeTimeout is for how long a message waits for
// its causes. A member that lies about a cause looks like one behind a link that
// lets no long frame pass, which is given so long to heal.
const causeTimeout = 10 * time.Minute

// mayCome reports whether a cause of e, for which e has waited since then, may
// still come.
func (c *Chat) mayCome(e *entry, cause mark, since, now time.Time) bool {
	w := cause.of
	if w == c.self || c.history.past(w, cause.seq) || c.lost[w] >= cause.seq {
		return false
	}
	asked := func(m *member) bool {
		if m.wordAsked.Before(since) || m.synced.Before(m.wordAsked) {
			c.askForWord(m, now)
			return m.evades()
		}
		return true
	}
	if author := c.reachable(w); author != nil {
		return !asked(author) || author.have[w] >= cause.seq
	}
	named := c.members[e.by.name]
	if named == nil || named.writer != e.by || named.addr == "" || !asked(named) {
		return true
	}
	if !c.isMember(w) && c.history.have(w) == 0 {
		return true // no member's word on such a writer is kept
	}
	for _, m := range c.members {
		// Also of one that does not serve it: its link may let no long frame pass.
		if m.addr != "" && m.have[w] >= cause.seq {
			return true
		}
	}
	return false
}

// evades reports whether m talks, but does not say what it has.
func (m *member) evades() bool {
	return m.synced.Before(m.wordAsked) && slices.ContainsFunc(m.sessions, func(s *session) bool {
		return s.heard.Sub(m.wordAsked) >= askAgain
	})
}

// stuck is a message whose turn it is and that is held, since when.
type stuck struct {
	seq   uint64
	since time.Time
}

// lacks returns what to pull over s now; the caller holds c.mu.
func (c *Chat) lacks(s *session) []*chatpb.Range {
	m := s.member
	if c.flaws.noSync || !c.settled || c.members[m.name] != m {
		return nil
	}
	var ranges []*chatpb.Range
	now := time.Now()
	for w, top := range m.have {
		ranges = c.pull(s, w, m.floor[w], top, ranges, now)
	}
	if len(s.offers) > 0 {
		s.offersAsked, s.outstanding = now, s.outstanding[:0]
		for w, o := range s.offers {
			ranges = c.pull(s, w, o.floor, o.have, ranges, now)
			s.outstanding = append(s.outstanding, w)
		}
		s.offers = nil
	}
	return ranges
}

// pull adds to ranges what to pull of w, of whom s's member says that it has
// messages up to top and keeps those above floor.
func (c *Chat) pull(s *session, w writer, floor, top uint64, ranges []*chatpb.Range, now time.Time) []*chatpb.Range {
	m, have := s.member, c.history.have(w)
	from := max(have, c.lost[w])
	if !c.knows(w) {
		from = floor
	}
	if w == c.self || c.history.past(w, top) || top <= from || floor > from || m.distrusts(w, now) || len(ranges) >= maxRanges {
		return ranges
	}
	if author := c.find(w); author != nil && author != m && now.Sub(author.flowing) < inFlight {
		return ranges
	}
	if author := c.reachable(w); author != nil && author != m && c.Gossip == nil {
		if top = c.askAuthorFirst(s, author, top, now); top <= from {
			return ranges
		}
	}
	if a, ok := c.asked[w]; ok && a.last > have && (a.of == s || c.reachable(w) != m) {
		again := askAgain
		if a.of.member == m {
			again = 2 * askAgain // others come first
		}
		if now.Sub(a.at) < again {
			if a.of != s {
				s.askLater(askAgain)
			}
			return ranges
		}
		c.askedInVain(w, a, now)
	}
	top = from + min(top-from, maxServing)
	before := len(ranges)
	last := have
	for first := from + 1; first <= top && len(ranges) < maxRanges; {
		if c.held.has(w, first) && !c.mayReplace(w, first, now) {
			first++
			continue
		}
		last = c.gapEnd(w, first, top)
		ranges = append(ranges, &chatpb.Range{Author: w.name, Incarnation: w.incarnation, First: first, Last: last})
		first = last + 1
	}
	if len(ranges) > before {
		c.asked[w] = asked{last, s, now, have}
	}
	return ranges
}

// askAuthorFirst asks a member that can be reached for what others say it has
// written, since only its own word on that is certain. It returns up to where
// the others may be asked: 0 while the answer may still come, then as far as the
// author said itself. Where it said nothing, others' word has to do.
func (c *Chat) askAuthorFirst(s *session, author *member, top uint64, now time.Time) uint64 {
	switch since := now.Sub(author.wordAsked); {
	case since >= 3*askAgain:
		c.askForWord(author, now)
		s.askLater(askAgain)
		return 0
	case since < askAgain:
		s.askLater(askAgain - since)
		return 0
	case !author.synced.Before(author.wordAsked):
		return min(top, author.have[author.writer])
	}
	return top
}

// mayReplace reports whether another copy of a message that is held is asked for:
// it is the next of w, has been held for a while, and its author cannot be asked.
// An author with a fault may have told its peers different things.
func (c *Chat) mayReplace(w writer, seq uint64, now time.Time) bool {
	was := c.stuck[w]
	return seq == c.history.have(w)+1 && was.seq == seq && now.Sub(was.since) >= askAgain && c.reachable(w) == nil
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
