package observe

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"peerlab/event"
	"peerlab/observe/theory"
	"peerlab/testbed"
)

// Kinds of news that members spread.
const (
	newsKey      = "key"      // a key of the broadcast map was set
	newsDeletion = "deletion" // one was deleted
	newsUpdate   = "update"   // a member has new metadata
	newsJoin     = "join"     // a member has come
)

// Dissemination is one piece of news and how it spread.
type Dissemination struct {
	What   string // key, deletion, update or join
	Name   string // the key, or the member
	Author string // who set it; the member itself
	At     time.Time
	// Nodes is how many were to have it, the author included: those that were in a
	// membership, neither paused nor cut off from the author, and that it held alive
	// or suspect; for a join those that did not hold the member alive. One that ends,
	// is cut off, leaves, or begins a new membership drops out.
	Nodes int
	// Healthy says that no link between peers was degraded when it began: the
	// theory is about such news.
	Healthy bool
	// First is how long it took until the first of the others had it, All until
	// the last did. They mean something if Reached is not zero, and if Missed
	// and Overtaken are zero.
	First, All time.Duration
	Reached    int // others that had it
	Missed     int // others that did not until the history ended
	Overtaken  int // others that did not before there was newer news of the key
	// PushPull are the times after which others had it from a push/pull, as far as
	// that is told: of keys and deletions.
	PushPull []time.Duration
}

// Disseminations returns all news of a history, in the order of time.
func Disseminations(events []event.Event) []Dissemination {
	s := spreading{
		situation: newSituation(0), keys: make(map[string]*news), members: make(map[string][]*news),
		told: make(map[[2]string]uint32),
	}
	for _, e := range testbed.Sorted(events) {
		s.add(e)
	}
	return s.results()
}

// news is a Dissemination that goes on.
type news struct {
	Dissemination
	id          string          // of a write: its version, its author and its text
	incarnation uint32          // of an update: this or a later one has it
	pending     map[string]bool // who does not have it yet
}

// spreading finds news in a sorted history.
type spreading struct {
	*situation
	all     []*news
	keys    map[string]*news     // the latest of each key
	members map[string][]*news   // joins and updates that somebody lacks, by member
	told    map[[2]string]uint32 // the incarnation that an observer, the first, told last of a member
}

func (s *spreading) add(e event.Event) {
	gone := "" // who begins anew, or is in no membership any more
	switch e.Kind {
	case event.PeerStarted, event.PeerStopping:
		gone = e.Peer
	case event.MemberLeft:
		if e.Member == e.Peer {
			gone = e.Peer
		}
	case event.MemberJoin:
		if e.Member == e.Peer && e.Was == "" {
			gone = e.Peer
		}
	case testbed.LabStop, testbed.LabKill, testbed.LabExit:
		gone = e.Member
	}
	if gone != "" {
		s.dropOut(func(_ *news, name string) bool { return name == gone })
	}
	switch e.Kind {
	case event.MemberJoin, event.MemberRefute, event.MemberUpdate:
		s.hears(e)
	case event.MemberLeft, event.MemberDead: // whoever is told of that needs no older news
		s.settle(e.Member, func(n *news) { delete(n.pending, e.Peer) })
	}
	s.Add(e)
	switch e.Kind {
	case event.BroadcastSet, event.BroadcastDeleted:
		s.write(e)
	case event.MemberJoin, event.MemberUpdate:
		if e.Member == e.Peer && (e.Kind == event.MemberUpdate || e.Was == "") {
			s.announce(e)
		}
	case testbed.LabCut, testbed.LabLink, testbed.LabHeal:
		of, _ := s.components()
		s.dropOut(func(n *news, name string) bool {
			own, acts := of[n.Author]
			other, also := of[name]
			return acts && also && own != other
		})
	}
}

// begin adds a piece of news of author, for those of the others who are to hear
// of it.
func (s *spreading) begin(n *news, at time.Time, to func(other string) bool) {
	n.At, n.Healthy, n.pending = at, !s.degraded, make(map[string]bool)
	of, _ := s.components()
	own, acts := of[n.Author]
	for _, other := range s.peers {
		if group, also := of[other]; acts && also && group == own && other != n.Author && s.State(other, other) == Alive && to(other) {
			n.pending[other] = true
		}
	}
	n.Nodes = len(n.pending) + 1
	if len(n.pending) > 0 {
		s.all = append(s.all, n)
	}
}

// write takes a write of a key: its author's own is news, even if it has the
// version of one before, as the first after a restart can.
func (s *spreading) write(e event.Event) {
	id := fmt.Sprintf("%d %s %s", e.Version, e.Member, e.Digest)
	n := s.keys[e.Key]
	if e.Via != event.ViaOwn || e.Peer != e.Member {
		if n != nil && n.id == id {
			if e.Via == event.ViaPushPull && n.pending[e.Peer] {
				n.PushPull = append(n.PushPull, max(0, e.Time.Sub(n.At)))
			}
			n.reach(e.Peer, e.Time)
		}
		return
	}
	if n != nil {
		n.Overtaken += len(n.pending)
		n.pending = nil
	}
	n = &news{Dissemination: Dissemination{What: newsKey, Name: e.Key, Author: e.Peer}, id: id}
	if e.Kind == event.BroadcastDeleted {
		n.What = newsDeletion
	}
	author := s.index[e.Peer]
	s.begin(n, e.Time, func(other string) bool {
		held := s.held(author, s.index[other])
		return held == alive || held == suspect
	})
	s.keys[e.Key] = n
}

// announce takes what a member says of itself that is news.
func (s *spreading) announce(e event.Event) {
	n := &news{Dissemination: Dissemination{What: newsUpdate, Name: e.Member, Author: e.Member}, incarnation: e.Incarnation}
	member := s.index[e.Member]
	wanted := func(other string) bool {
		held := s.held(member, s.index[other])
		return (held == alive || held == suspect) && s.told[[2]string{other, e.Member}] < e.Incarnation
	}
	if e.Kind == event.MemberJoin {
		n.What = newsJoin
		wanted = func(other string) bool {
			held := s.held(s.index[other], member)
			return held != alive && held != suspect
		}
	}
	if s.begin(n, e.Time, wanted); len(n.pending) > 0 {
		s.members[e.Member] = append(s.members[e.Member], n)
	}
}

// hears takes what an observer says of a member that it holds alive.
func (s *spreading) hears(e event.Event) {
	if e.Peer == e.Member {
		return
	}
	if e.Incarnation > 0 {
		s.told[[2]string{e.Peer, e.Member}] = e.Incarnation
	}
	s.settle(e.Member, func(n *news) {
		if n.What == newsJoin || e.Incarnation >= n.incarnation {
			n.reach(e.Peer, e.Time)
		}
	})
}

// settle does something to the news of a member, and forgets what all have then.
func (s *spreading) settle(member string, do func(*news)) {
	open := s.members[member]
	if len(open) == 0 {
		return
	}
	s.members[member] = slices.DeleteFunc(open, func(n *news) bool {
		do(n)
		return len(n.pending) == 0
	})
}

// dropOut expects no more of those for whom it returns true.
func (s *spreading) dropOut(gone func(n *news, name string) bool) {
	drop := func(n *news) {
		for name := range n.pending {
			if gone(n, name) {
				delete(n.pending, name)
			}
		}
	}
	for member := range s.members {
		s.settle(member, drop)
	}
	for _, n := range s.keys {
		drop(n)
	}
}

func (n *news) reach(name string, at time.Time) {
	if !n.pending[name] {
		return
	}
	delete(n.pending, name)
	took := max(0, at.Sub(n.At))
	if n.Reached == 0 {
		n.First = took
	}
	n.First, n.All = min(n.First, took), max(n.All, took)
	n.Reached++
}

func (s *spreading) results() []Dissemination {
	all := make([]Dissemination, 0, len(s.all))
	for _, n := range s.all {
		n.Missed = len(n.pending)
		all = append(all, n.Dissemination)
	}
	slices.SortStableFunc(all, func(a, b Dissemination) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Name, b.Name)) })
	return all
}

// measureDissemination takes the theory from theory.Model.FirstTold, AllTold and
// MissedOf. A join begins before anybody can know of it: the theory is about the
// time from the first on.
func measureDissemination(r *Record) Measured {
	var m Measured
	all := slices.DeleteFunc(Disseminations(r.Events), func(d Dissemination) bool { return d.At.Before(r.Since) })
	for _, what := range []string{newsKey, newsDeletion, newsUpdate, newsJoin} {
		var first, last predicted
		rounds := Figure{Name: what + " rounds"} // of gossip
		var missed missCount
		seen := false
		for _, d := range all {
			if d.What != what {
				continue
			}
			seen = true
			model, known := r.model(d.Nodes)
			if n := r.retransmit(what); n > 0 {
				model.RetransmitMult = n
			}
			known = known && d.Healthy && model.GossipNodes > 0 && model.GossipInterval > 0
			var firstBand, lastBand theory.Band
			var gossiped time.Duration // from when on it was
			switch {
			case known && what == newsJoin:
				gossiped = d.First
				lastBand = model.AllTold().After(gossiped)
			case known:
				firstBand, lastBand = model.FirstTold(), model.AllTold()
			}
			if d.Reached > 0 {
				first.add(d.First, firstBand)
			}
			if d.Reached > 0 && d.Missed == 0 && d.Overtaken == 0 {
				last.add(d.All, lastBand)
				if known {
					rounds.Values = append(rounds.Values, max(1, math.Ceil(float64(d.All-gossiped)/float64(model.GossipInterval))))
					rounds.Expected = around(rounds.Expected, len(rounds.Values), model)
				}
			}
			missed.add(d, model, known)
		}
		if !seen {
			continue
		}
		m.Figures = append(m.Figures, first.figure(what+" first"), last.figure(what+" all"), rounds)
		if what == newsKey || what == newsDeletion {
			m.Figures = append(m.Figures, missed.figure(what+" missed by gossip"))
		}
	}
	m.noteMissing(all)
	if len(all) == 0 {
		m.note("nobody had news")
	}
	return m
}

// around widens what is expected of n rounds by that of one more piece of news.
func around(b *Band, n int, model theory.Model) *Band {
	least, expected, most := model.Rounds()
	if b == nil {
		return &Band{least, expected, most}
	}
	return &Band{min(b.Least, least), b.Expected + (expected-b.Expected)/float64(n), max(b.Most, most)}
}

// retransmit is the setting that takes the place of RetransmitMult for a kind of
// news, 0 for none.
func (r *Record) retransmit(what string) int {
	if what != newsKey && what != newsDeletion {
		return 0
	}
	n, err := strconv.Atoi(cmp.Or(r.Used["broadcast-retransmit"], r.Settings["broadcast-retransmit"]))
	if err != nil {
		return 0
	}
	return n
}

// missCount counts the news that gossip did not bring to everybody.
type missCount struct {
	news, missed int
	models       []theory.Model // of those that the theory is about
}

// add takes one piece of news. What was overtaken cannot be told; a push/pull
// before gossip had ended may only have been faster.
func (c *missCount) add(d Dissemination, model theory.Model, known bool) {
	if d.Overtaken > 0 {
		return
	}
	c.news++
	end := time.Duration(0)
	if known {
		end = model.GossipEnd()
		c.models = append(c.models, model)
	}
	if d.Missed > 0 || slices.ContainsFunc(d.PushPull, func(took time.Duration) bool { return took > end }) {
		c.missed++
	}
}

func (c *missCount) figure(name string) Figure {
	f := Figure{Name: name, Values: []float64{float64(c.missed)}}
	if len(c.models) < c.news || c.news == 0 {
		return f
	}
	for _, model := range c.models[1:] {
		if model != c.models[0] {
			return f // of clusters of several sizes
		}
	}
	least, expected, most := c.models[0].MissedOf(c.news)
	f.Expected = &Band{least, expected, most}
	return f
}

// noteMissing tells of news that somebody did not get.
func (m *Measured) noteMissing(all []Dissemination) {
	const shown = 5
	told := 0
	for _, d := range all {
		if d.Missed == 0 {
			continue
		}
		if told++; told > shown {
			continue
		}
		name := d.What + " " + d.Name + " of " + d.Author
		if d.Name == d.Author {
			name = d.What + " of " + d.Author
		}
		m.note("%s: %d of %d others had not heard of it when the run ended", name, d.Missed, d.Missed+d.Reached)
	}
	if told > shown {
		m.note("and %d more", told-shown)
	}
}
