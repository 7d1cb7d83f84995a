package observe

import (
	"maps"
	"slices"
	"time"

	"peerlab/event"
)

// ownKinds are the kinds of messages in memberlist's own queue.
var ownKinds = []string{"alive", "suspect", "dead", "other"}

// queueKinds is the order in which kinds of messages are shown; others follow.
var queueKinds = append(slices.Clone(ownKinds), event.MembershipQueue, "broadcast")

// QueueUse is one kind of message in one peer's broadcast queues.
type QueueUse struct {
	// Most is how many waited at once, Oldest how long one was seen to wait.
	Most   int
	Oldest time.Duration
	// aged says that Oldest is known: a backlog does not tell it.
	aged bool
}

// queueUse is what a history shows of broadcast queues.
type queueUse struct {
	peers    []string // all that ran
	kinds    []string // that any peer reported
	use      map[string]map[string]QueueUse
	depths   map[string]map[string][]float64 // by kind and peer, of a timeline
	dropped  map[string]uint64               // by peer
	backlogs []event.Event
	damaged  int // reports that cannot be read
}

// queuesOf reads the reports of a run from r.Since on.
func queuesOf(r *Record, t timeline) queueUse {
	u := queueUse{
		use: make(map[string]map[string]QueueUse), depths: make(map[string]map[string][]float64), dropped: make(map[string]uint64),
	}
	ran := make(map[string]bool)
	for _, e := range r.Events {
		if e.Kind == event.PeerStarted {
			ran[e.Peer] = true
		}
		if e.Time.Before(t.start) {
			continue
		}
		switch e.Kind {
		case event.PeerBacklog:
			u.backlogs = append(u.backlogs, e)
			if e.Text == "" {
				break
			}
			// The run may end before the report of that time.
			u.add(t, e, event.Queue{Kind: e.Text, Depths: []int{int(e.Messages)}})
		case event.PeerQueues:
			queues, err := event.ParseQueues(e.Text)
			if err != nil {
				u.damaged++
				break
			}
			ran[e.Peer] = true
			u.dropped[e.Peer] += e.Dropped
			own := event.Queue{Kind: event.MembershipQueue}
			for _, q := range queues {
				u.add(t, e, q)
				u.age(e.Peer, q)
				if slices.Contains(ownKinds, q.Kind) {
					own.Depths = sum(own.Depths, q.Depths)
				}
			}
			if own.Depths != nil {
				u.add(t, e, own)
			}
		}
	}
	u.peers = slices.Sorted(maps.Keys(ran))
	for _, kind := range queueKinds {
		if u.use[kind] != nil {
			u.kinds = append(u.kinds, kind)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(u.use)) {
		if !slices.Contains(queueKinds, kind) {
			u.kinds = append(u.kinds, kind)
		}
	}
	return u
}

// sum adds depths of the same moments, the last of which is the same.
func sum(a, b []int) []int {
	if len(a) < len(b) {
		a, b = b, a
	}
	a = slices.Clone(a)
	for i, depth := range b {
		a[len(a)-len(b)+i] += depth
	}
	return a
}

// age takes how old a report knew the oldest message of a kind that was added.
func (u *queueUse) age(peer string, q event.Queue) {
	use := u.use[q.Kind][peer]
	use.Oldest, use.aged = max(use.Oldest, q.Oldest), true
	u.use[q.Kind][peer] = use
}

// add takes the depths of one kind.
func (u *queueUse) add(t timeline, e event.Event, q event.Queue) {
	if u.use[q.Kind] == nil {
		u.use[q.Kind], u.depths[q.Kind] = make(map[string]QueueUse), make(map[string][]float64)
	}
	use, depths := u.use[q.Kind][e.Peer], u.depths[q.Kind][e.Peer]
	if depths == nil {
		depths = make([]float64, t.buckets())
		u.depths[q.Kind][e.Peer] = depths
	}
	for i, depth := range q.Depths {
		at := e.Time.Add(-time.Duration(len(q.Depths)-1-i) * event.QueueInterval)
		if bucket, ok := t.bucket(at); ok {
			use.Most = max(use.Most, depth)
			depths[bucket] = max(depths[bucket], float64(depth))
		}
	}
	u.use[q.Kind][e.Peer] = use
}

func measureQueues(r *Record) Measured {
	var m Measured
	t := r.timeline(event.QueueInterval)
	t.untilReports(r.Events, event.PeerBacklog)
	u := queuesOf(r, t)
	if u.damaged > 0 {
		m.note("%d reports cannot be read", u.damaged)
	}
	if len(u.kinds) == 0 && len(u.dropped) == 0 {
		if u.damaged == 0 {
			m.note("no peer reported a message in its broadcast queues")
		}
		return m
	}
	for _, kind := range u.kinds {
		most, oldest := Figure{Name: kind}, Figure{Name: kind + " oldest", Unit: "s"}
		highest := make([]float64, t.buckets()) // of any peer
		for _, peer := range u.peers {
			use, ok := u.use[kind][peer]
			most.Values = append(most.Values, float64(use.Most))
			if !ok {
				continue
			}
			if use.aged {
				oldest.Values = append(oldest.Values, use.Oldest.Seconds())
			}
			for i, depth := range u.depths[kind][peer] {
				highest[i] = max(highest[i], depth)
			}
		}
		m.Figures = append(m.Figures, most)
		if len(oldest.Values) > 0 {
			m.Figures = append(m.Figures, oldest)
		}
		m.Series = append(m.Series, t.series(kind, "", "", highest))
		m.Series = append(m.Series, t.perPeer(kind, "", u.depths[kind])...)
	}
	total, worst := uint64(0), ""
	for _, peer := range slices.Sorted(maps.Keys(u.dropped)) {
		total += u.dropped[peer]
		if u.dropped[peer] > u.dropped[worst] {
			worst = peer
		}
	}
	m.count("dropped", int(total))
	m.count("backlogs", len(u.backlogs))
	if total > 0 {
		m.note("most were dropped by %s: %d", worst, u.dropped[worst])
	}
	const shown = 5
	for i, e := range u.backlogs {
		if i == shown {
			m.note("and %d more backlogs", len(u.backlogs)-shown)
			break
		}
		m.note("%s: %d in its %s queue for seconds, at %s", e.Peer, e.Messages, e.Text, e.Time.UTC().Format("15:04:05"))
	}
	return m
}
