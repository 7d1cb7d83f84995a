package observe

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// The chat's promises.
const (
	promiseValidity  = "validity"
	promiseAgreement = "agreement"
	promiseIntegrity = "integrity"
	promiseCausal    = "causal order"
)

// checkChat judges the chat's promise:
//
//   - validity: what a member sent, all deliver;
//   - agreement: what one delivered, all deliver;
//   - integrity: nothing twice, nothing that was not sent;
//   - causal order: a reply is never shown before what it answers.
//
// Validity and agreement are for members that stay up and are connected in the
// end: at the end of the history they run, are not paused, are in the chat, and
// links that pass TCP lead from one to the other, if need be through others.
// Where the end finds the members split, it is each part that must agree. A
// message is owed to a member whose present life its author had seen join the
// chat when it sent the message. It is owed by validity if the author is such a
// member too and sent it in its present life, or in an earlier one whose
// incarnation goes on: that is one with a state directory. A message still
// under way counts as missing: await that the chat is complete before.
//
// Integrity and causal order hold at all times, so they are judged of every
// life of every member. A life of a reader begins with peer.started: what it
// shows again after a restart is not twice. The causes of a message are what its
// author had sent or delivered before in the same life, what it had sent in
// the same incarnation, and the causes of those. A cause that a reader never
// shows breaks causal order if it was owed to it, unless it breaks validity or
// agreement, which then is what is told.
//
// What a reader has given up, because it was away for longer than the chat's horizon
// and nobody keeps it any more, is not owed to that reader: the chat says so in
// its documentation, and by chat.skipped when it happens. How much that is is
// told with the verdict. It is owed all the same if somebody had it: if it was
// sent after it was given up, or a member of the same part delivered it after
// that, or has it in the end among the messages that it keeps in any case, as
// many as its chat.start says.
//
// It takes time in proportion to deliveries: of the causes of a message only
// those are looked at that its author's message before did not have.
func checkChat(r *Record) Checked {
	c := chatChecker{lives: make(map[string]*chatLife), streams: make(map[author]*stream)}
	doubt := incomplete(r.Events)
	for i := range r.Events {
		c.learn(&r.Events[i])
	}
	for _, d := range c.deeds {
		c.follow(d)
	}
	groups := c.groups(r.Events)
	owed := c.complete(groups)
	c.missingCauses()
	if doubt == "" && owed == 0 && len(c.broken.order) == 0 {
		doubt = "no message was owed by anybody: fewer than two members of the chat are up and connected in the end, or nobody sent anything"
	}
	members := 0
	for _, g := range groups {
		members += len(g)
	}
	judged := fmt.Sprintf("%d messages sent, %d deliveries owed by %d members that are up in the end", c.sent, owed, members)
	if len(groups) > 1 {
		judged += fmt.Sprintf(", in %d parts", len(groups))
	}
	if c.skipped > 0 {
		judged += fmt.Sprintf("; %d given up beyond the horizon, by %s", c.skipped, strings.Join(slices.Sorted(maps.Keys(c.skippers)), ", "))
	}
	return c.broken.judge(judged, doubt)
}

// stream is what one incarnation of an author sent.
type stream struct {
	author
	msgs []message // by seq
	log  []cause   // causes in the order in which the author had them
	last *chatLife // in which it was last sent from
}

type message struct {
	seq  uint64
	at   time.Time
	text string
	log  int // its causes are the stream's first that many
	by   *chatLife
	nth  int // of those this life sent
}

type cause struct {
	of  *stream
	seq uint64
}

func (s *stream) id(seq uint64) string { return fmt.Sprintf("%s/%d/%d", s.name, s.incarnation, seq) }

func (s *stream) find(seq uint64) (message, bool) {
	i := sort.Search(len(s.msgs), func(i int) bool { return s.msgs[i].seq >= seq })
	if i < len(s.msgs) && s.msgs[i].seq == seq {
		return s.msgs[i], true
	}
	return message{}, false
}

// chatLife is one life of a member, as an author and as a reader.
type chatLife struct {
	peer    string
	began   time.Time
	chat    uint64 // the incarnation of its chat, the latest if there were several
	keeps   uint64 // how many messages its chat keeps in any case, 0 if that is not told
	joined  bool   // it has shown itself to be in the chat
	met     Acquaintances
	pending []cause // delivered since it last sent
	reads   map[*stream]*reading
	order   []*stream // of reads
}

// owed says whether the author of m knew this life of l to be in the chat.
func (l *chatLife) owed(m message) bool { return m.by.met.Knew(l.peer, l.chat, l.began, m.nth) }

// reading is what one life has delivered of one stream.
type reading struct {
	got map[uint64]struct{}
	// skipped is up to where what was not delivered is given up, and skips when
	// that was said.
	skipped uint64
	skips   []skip
	merged  int // of the stream's log
	// need is the last message of the stream that is a cause of something
	// delivered, and what that is.
	need   uint64
	effect messageID
	// told are the missing ones reported already.
	told map[uint64]struct{}
}

func (l *chatLife) reading(s *stream) *reading {
	r := l.reads[s]
	if r == nil {
		r = &reading{got: make(map[uint64]struct{})}
		l.reads[s] = r
		l.order = append(l.order, s)
	}
	return r
}

func (l *chatLife) has(s *stream, seq uint64) bool {
	r := l.reads[s]
	if r == nil {
		return false
	}
	_, got := r.got[seq]
	return got
}

// skip is one time that a reader gave messages up.
type skip struct {
	upTo uint64
	at   time.Time
}

// givenUp returns when the message was given up first.
func (r *reading) givenUp(seq uint64) (at time.Time, ok bool) {
	for _, s := range r.skips {
		if s.upTo >= seq && (!ok || s.at.Before(at)) {
			at, ok = s.at, true
		}
	}
	return at, ok
}

type chatChecker struct {
	lives   map[string]*chatLife // the present ones
	all     []*chatLife
	streams map[author]*stream
	order   []*stream
	sent    int
	deeds   []deed // all that was sent and delivered
	broken  broken

	places map[*chatLife]*places // made when something was given up

	skipped  uint64 // messages given up, by all readers
	skippers map[string]struct{}
}

type deed struct {
	by *chatLife
	e  *event.Event
	id messageID
}

// learn takes an event in the first pass, which finds what was sent and why:
// only then can be judged what was delivered, for events of different peers
// come in any order.
func (c *chatChecker) learn(e *event.Event) {
	if e.Peer == testbed.Lab {
		return
	}
	l := c.lives[e.Peer]
	if l == nil || e.Kind == event.PeerStarted {
		l = &chatLife{peer: e.Peer, reads: make(map[*stream]*reading)}
		if e.Kind == event.PeerStarted {
			l.began = e.Time
		}
		c.lives[e.Peer] = l
		c.all = append(c.all, l)
	}
	switch e.Kind {
	case event.ChatStart:
		l.chat, l.keeps = e.Life, e.Messages
		return
	case event.ChatJoin:
		l.joined = true
		l.met.Joined(e.Member, e.Life, e.Time)
		return
	case event.ChatLeave:
		if e.Reason == "leave" { // whoever comes now is a new life of its chat
			l.met.Left(e.Member)
		}
		return
	case event.ChatSent, event.ChatDelivered, event.ChatSkipped:
		l.joined = true
	default:
		return
	}
	id, ok := parseMessage(e.Message)
	switch {
	case !ok:
		c.wrong(e, "%s speaks of message %q, which is no message's id", e.Peer, e.Message)
		return
	case e.Kind == event.ChatSkipped:
		c.skip(l, e, id)
		return
	case e.Kind == event.ChatDelivered:
		l.pending = append(l.pending, cause{c.stream(id.author), id.seq})
	case id.name != e.Peer:
		c.wrong(e, "%s sent %s in another's name", e.Peer, e.Message)
		return
	default:
		c.send(l, e, id)
	}
	c.deeds = append(c.deeds, deed{l, e, id})
}

// skip notes what a reader has given up.
func (c *chatChecker) skip(l *chatLife, e *event.Event, id messageID) {
	r := l.reading(c.stream(id.author))
	r.skipped = max(r.skipped, id.seq)
	r.skips = append(r.skips, skip{id.seq, e.Time})
	c.skipped += e.Messages
	if c.skippers == nil {
		c.skippers = make(map[string]struct{})
	}
	c.skippers[e.Peer] = struct{}{}
}

// send notes a message and what its causes are.
func (c *chatChecker) send(l *chatLife, e *event.Event, id messageID) {
	s := c.stream(id.author)
	s.last = l
	if n := len(s.msgs); n > 0 {
		before := s.msgs[n-1].seq
		if before >= id.seq {
			c.wrong(e, "%s sent %s after %s: the number is used twice", e.Peer, e.Message, s.id(before))
			return
		}
		s.log = append(s.log, cause{s, before})
	}
	c.sent++
	s.log = append(s.log, l.pending...)
	l.pending = nil
	s.msgs = append(s.msgs, message{id.seq, e.Time, e.Text, len(s.log), l, l.met.Sent()})
}

func (c *chatChecker) stream(a author) *stream {
	s := c.streams[a]
	if s == nil {
		s = &stream{author: a}
		c.streams[a] = s
		c.order = append(c.order, s)
	}
	return s
}

// follow takes a deed in the second pass, which follows each reader.
func (c *chatChecker) follow(d deed) {
	if d.e.Kind == event.ChatSent {
		d.by.reading(c.stream(d.id.author)).got[d.id.seq] = struct{}{}
		return
	}
	c.deliver(d.by, d.e, d.id)
}

func (c *chatChecker) wrong(e *event.Event, format string, args ...any) {
	c.broken.add(Violation{
		Promise: promiseIntegrity, Message: e.Message, Peer: e.Peer, Witness: fmt.Sprintf(format, args...),
	}, 0)
}

func (c *chatChecker) deliver(l *chatLife, e *event.Event, id messageID) {
	s := c.stream(id.author)
	m, sent := s.find(id.seq)
	r := l.reading(s)
	_, again := r.got[id.seq]
	switch {
	case !sent:
		c.wrong(e, "%s delivered %s, which nobody sent", e.Peer, e.Message)
		return
	case again:
		c.wrong(e, "%s delivered %s twice", e.Peer, e.Message)
		return
	case e.Text != m.text:
		c.wrong(e, "%s delivered %s as %q, sent was %q", e.Peer, e.Message, e.Text, m.text)
	case e.Member != "" && e.Member != id.name:
		c.wrong(e, "%s delivered %s as from %s", e.Peer, e.Message, e.Member)
	}
	r.got[id.seq] = struct{}{}
	if id.seq <= r.need && id.seq > r.skipped { // what turns up after it was given up is late

		effect := r.effect
		c.broken.add(Violation{
			Promise: promiseCausal, Message: c.stream(effect.author).id(effect.seq), Peer: e.Peer, Cause: e.Message,
			Witness: fmt.Sprintf("%s delivered %s before its cause %s", e.Peer, c.stream(effect.author).id(effect.seq), e.Message),
		}, 0)
	}
	for ; r.merged < m.log; r.merged++ {
		cause := s.log[r.merged]
		of := l.reading(cause.of)
		if cause.seq > of.need {
			of.need, of.effect = cause.seq, id
		}
	}
}

// groups returns the members that are up in the end, those together that are
// connected.
func (c *chatChecker) groups(events []event.Event) [][]*chatLife {
	s := newSituation(0)
	// Of what drops some packets only, TCP is what the chat needs.
	s.severed = func(l testbed.Link) bool {
		return dropsAll(l) || l.Drops(testbed.DropTCP) || l.Over > 0
	}
	var course []event.Event
	present := make(map[string]bool)
	for _, e := range events {
		if e.Peer == testbed.Lab || e.Kind == event.PeerStarted || e.Kind == event.PeerStopping {
			course = append(course, e)
		}
		switch e.Kind {
		case event.PeerStarted:
			delete(present, e.Peer)
		case event.ChatSent, event.ChatDelivered:
			present[e.Peer] = true
		case event.ChatJoin:
			present[e.Peer], present[e.Member] = true, true
		case event.ChatLeave:
			if e.Reason == "leave" {
				delete(present, e.Member)
			}
		}
	}
	for _, e := range testbed.Sorted(course) {
		s.Add(e)
	}
	of, size := s.components()
	groups := make([][]*chatLife, len(size))
	for _, peer := range s.peers {
		group, acts := of[peer]
		if l := c.lives[peer]; acts && l != nil && l.joined && present[peer] {
			groups[group] = append(groups[group], l)
		}
	}
	var several [][]*chatLife
	for _, g := range groups {
		if len(g) > 1 {
			several = append(several, g)
		}
	}
	return several
}

// complete judges validity and agreement and returns how many deliveries were
// owed.
func (c *chatChecker) complete(groups [][]*chatLife) (owed int) {
	for _, group := range groups {
		present := make(map[*chatLife]bool)
		for _, l := range group {
			present[l] = true
		}
		for _, s := range c.order {
			for _, m := range s.msgs {
				owed += c.delivered(group, s, m, present[s.last])
			}
		}
	}
	return owed
}

// delivered judges one message in one group: valid if its author belongs to it.
func (c *chatChecker) delivered(group []*chatLife, s *stream, m message, valid bool) (owed int) {
	var missing []*chatLife
	var witness *chatLife // who has it
	var gaveUp string     // how it was given up though somebody had it
	for _, l := range group {
		if l.peer == s.name {
			continue
		}
		has := l.has(s, m.seq)
		if has {
			witness = l
		}
		switch {
		case !l.owed(m):
		case has:
			owed++
		case l.reading(s).skipped >= m.seq:
			how := c.keptNonetheless(group, l, s, m)
			if how == "" {
				continue
			}
			gaveUp = how
			missing = append(missing, l)
		default:
			missing = append(missing, l)
		}
	}
	if len(missing) == 0 || !valid && witness == nil {
		return owed
	}
	names := make([]string, len(missing))
	for i, l := range missing {
		names[i] = l.peer
		r := l.reading(s)
		if r.told == nil {
			r.told = make(map[uint64]struct{})
		}
		r.told[m.seq] = struct{}{}
	}
	v := Violation{Promise: promiseValidity, Message: s.id(m.seq), Peer: names[0]}
	v.Witness = fmt.Sprintf("%s sent %s at %s and is up; %s never delivered it", s.name, v.Message, clock(m.at), strings.Join(names, ", "))
	if !valid {
		v.Promise, v.Cause = promiseAgreement, ""
		v.Witness = fmt.Sprintf("%s delivered %s; %s never did", witness.peer, v.Message, strings.Join(names, ", "))
	}
	if gaveUp != "" {
		v.Witness += ": " + gaveUp
	}
	c.broken.add(v, len(names))
	return owed + len(missing)
}

// keptNonetheless says who had a message that l gave up, "" if nobody is known to.
func (c *chatChecker) keptNonetheless(group []*chatLife, l *chatLife, s *stream, m message) string {
	at, ok := l.reading(s).givenUp(m.seq)
	switch {
	case !ok:
		return ""
	case m.at.After(at):
		return fmt.Sprintf("%s gave it up at %s, before it was sent", l.peer, clock(at))
	}
	for _, p := range group {
		if p == l {
			continue
		}
		had := c.placesOf(p)
		place, has := had.of[messageID{s.author, m.seq}]
		switch {
		case !has:
		case place.at.After(at):
			return fmt.Sprintf("%s gave it up at %s, %s delivered it at %s", l.peer, clock(at), p.peer, clock(place.at))
		case had.count-place.nth < p.keeps && had.bytes-place.bytes < keptBytes:
			return fmt.Sprintf("%s gave it up at %s, %s still keeps it", l.peer, clock(at), p.peer)
		}
	}
	return ""
}

// keptBytes is how much a member keeps in any case, with 200 bytes for each
// message beside its text: less than a chat's default of 4 MiB, since what a
// message follows takes room as well.
const keptBytes = 1 << 20

// places are those of the messages that one life sent and delivered, in order.
type places struct {
	of           map[messageID]place
	count, bytes uint64
}

type place struct {
	nth, bytes uint64
	at         time.Time
}

func (c *chatChecker) placesOf(l *chatLife) *places {
	if c.places == nil {
		c.places = make(map[*chatLife]*places)
		for _, d := range c.deeds {
			p := c.places[d.by]
			if p == nil {
				p = &places{of: make(map[messageID]place)}
				c.places[d.by] = p
			}
			p.count++
			p.bytes += uint64(len(d.e.Text)) + 200
			p.of[d.id] = place{p.count, p.bytes, d.e.Time}
		}
	}
	if p := c.places[l]; p != nil {
		return p
	}
	return new(places)
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// missingCauses finds causes that were never delivered where a reader showed
// what came of them.
func (c *chatChecker) missingCauses() {
	for _, l := range c.all {
		for _, s := range l.order {
			r := l.reads[s]
			for _, m := range s.msgs {
				if m.seq > r.need {
					break
				}
				_, got := r.got[m.seq]
				_, told := r.told[m.seq]
				if got || told || m.seq <= r.skipped || !l.owed(m) {
					continue
				}
				effect := c.stream(r.effect.author).id(r.effect.seq)
				c.broken.add(Violation{
					Promise: promiseCausal, Message: effect, Peer: l.peer, Cause: s.id(m.seq),
					Witness: fmt.Sprintf("%s delivered %s and never its cause %s", l.peer, effect, s.id(m.seq)),
				}, 1)
			}
		}
	}
}

// incomplete says why a history may lack something, "" if nothing shows that it
// does: the lab lost track of a peer, or a peer's numbers have a gap.
func incomplete(events []event.Event) string {
	last := make(map[string]uint64)
	for _, e := range events {
		if e.Kind == testbed.LabError {
			return fmt.Sprintf("the history of %s is incomplete: %s", e.Member, e.Error)
		}
		if e.Peer == testbed.Lab {
			continue // several programs can speak in its name
		}
		want := last[e.Peer] + 1
		if e.Kind == event.PeerStarted {
			want = 1
		}
		if e.Seq != want {
			return fmt.Sprintf("the history of %s is incomplete: event %d follows number %d", e.Peer, e.Seq, last[e.Peer])
		}
		last[e.Peer] = e.Seq
	}
	return ""
}
