package broadcast

import (
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/memberlist"
)

// Broadcasts implements membership.Channel.
func (m *Map) Broadcasts(overhead, limit int) [][]byte {
	return m.queue.GetBroadcasts(overhead, limit)
}

// Receive implements membership.Channel. What is news here is gossiped on.
func (m *Map) Receive(msg []byte) {
	now := time.Now()
	records, ok := decode(msg, now)
	if !ok || len(records) != 1 {
		m.dropped.Add(1)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gossip(m.apply(now, records...))
}

// State implements membership.Channel: all records, tombstones included.
func (m *Map) State(bool) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.trim(now)
	if len(m.records) == 0 {
		return nil
	}
	state := []byte{version}
	for _, key := range slices.Sorted(maps.Keys(m.records)) {
		state = m.records[key].append(state, now)
	}
	return state
}

// Merge implements membership.Channel. After a partition the two members that
// meet first gossip to their sides what these missed. To one who knew nothing
// everything is news, and old to the others: that is not gossiped.
func (m *Map) Merge(state []byte, _ bool) {
	now := time.Now()
	records, ok := decode(state, now)
	if !ok {
		m.dropped.Add(1)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	newcomer := len(m.records) == 0
	if news := m.apply(now, records...); !newcomer {
		m.gossip(news)
	}
}

// apply takes over those records that win against what is known and returns
// the ones that stay. The caller holds mu.
func (m *Map) apply(now time.Time, records ...record) []record {
	var won []record
	for _, r := range records {
		m.clock = max(m.clock, r.clock)
		old, known := m.records[r.key]
		if known {
			switch order := r.compare(old); {
			case order < 0:
				continue
			case order == 0:
				// The same deletion: the one who has known it longest knows
				// its age best.
				if r.gone.Before(old.gone) {
					old.gone = r.gone
					m.records[r.key] = old
				}
				continue
			}
		}
		m.forget(r.key)
		m.records[r.key] = r
		if !r.deleted {
			m.live++
		}
		won = append(won, r)
	}
	if len(won) == 0 {
		return nil
	}
	m.trim(now)
	close(m.changed)
	m.changed = make(chan struct{})
	return slices.DeleteFunc(won, func(r record) bool {
		kept, ok := m.records[r.key]
		return !ok || kept.compare(r) != 0
	})
}

func (m *Map) forget(key string) {
	if r, ok := m.records[key]; ok && !r.deleted {
		m.live--
	}
	delete(m.records, key)
}

// trim removes tombstones that are too old and the oldest writes beyond the
// limits. The caller holds mu. Which entries stay depends only on what they
// are, not on when they came: so members that know the same keep the same.
func (m *Map) trim(now time.Time) {
	for key, r := range m.records {
		if r.deleted && now.Sub(r.gone) >= m.ttl {
			m.forget(key)
		}
	}
	oldest := func(deleted bool, excess int) {
		if excess <= 0 {
			return
		}
		var of []record
		for _, r := range m.records {
			if r.deleted == deleted {
				of = append(of, r)
			}
		}
		slices.SortFunc(of, record.compare)
		for _, r := range of[:excess] {
			m.forget(r.key)
		}
	}
	oldest(false, m.live-MaxEntries)
	oldest(true, len(m.records)-m.live-maxTombstones)
}

// gossip queues records to be sent. The caller holds mu, so that of one key
// the newest is queued last and replaces the others.
func (m *Map) gossip(records []record) {
	if len(records) == 0 {
		return
	}
	now := time.Now()
	for _, r := range records {
		m.queue.QueueBroadcast(&message{r.key, r.append([]byte{version}, now)})
	}
	// A peer that is alone sends nothing and would queue every key it ever had.
	m.queue.Prune(MaxEntries + maxTombstones)
}

// message is one record on its way; a newer one of the same key replaces it.
type message struct {
	key   string
	bytes []byte
}

var _ memberlist.NamedBroadcast = (*message)(nil)

// Name implements memberlist.NamedBroadcast.
func (b *message) Name() string { return b.key }

// Invalidates implements memberlist.Broadcast.
func (b *message) Invalidates(other memberlist.Broadcast) bool {
	o, ok := other.(*message)
	return ok && o.key == b.key
}

// Message implements memberlist.Broadcast.
func (b *message) Message() []byte { return b.bytes }

// Finished implements memberlist.Broadcast.
func (b *message) Finished() {}
