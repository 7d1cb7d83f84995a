package broadcast

import (
	"maps"
	"slices"
	"time"

	"github.com/google/btree"
	"github.com/hashicorp/memberlist"

	"peerlab/event"
)

// Broadcasts implements membership.Channel.
func (m *Map) Broadcasts(overhead, limit int) [][]byte {
	return m.queue.GetBroadcasts(overhead, limit)
}

// Queue implements membership.Queued.
func (m *Map) Queue() (string, *memberlist.TransmitLimitedQueue) { return "broadcast", &m.queue }

// Receive implements membership.Channel. What is news here is gossiped on.
func (m *Map) Receive(msg []byte) {
	now := time.Now()
	records, ok := decode(msg, now)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !ok || len(records) != 1 {
		m.drop(now, "message", len(msg))
		return
	}
	m.gossip(m.apply(now, event.ViaGossip, m.believable(now, records)...))
}

// State implements membership.Channel: all records, tombstones included.
func (m *Map) State(bool) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.forgetUnbelievable(now)
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
	m.mu.Lock()
	defer m.mu.Unlock()
	if !ok {
		m.drop(now, "state", len(state))
		return
	}
	newcomer := m.isNew()
	if news := m.apply(now, event.ViaPushPull, m.believable(now, records)...); !newcomer {
		m.gossip(news)
	}
}

// isNew reports whether this map has never held anything. The caller holds mu.
func (m *Map) isNew() bool { return len(m.records) == 0 && len(m.forgotten) == 0 }

// logEvery is how often the log is told of what strangers can send at any rate.
const logEvery = time.Minute

// drop counts a malformed message or state. The caller holds mu.
func (m *Map) drop(now time.Time, what string, size int) {
	total := m.dropped.Add(1)
	if m.droppedLogged.IsZero() || now.Sub(m.droppedLogged) >= logEvery {
		m.droppedLogged = now
		m.log.Warn("broadcast map: malformed "+what+" ignored", "bytes", size, "total", total)
	}
}

// believable returns those of records whose clock is believed, and counts the
// others. The caller holds mu.
func (m *Map) believable(now time.Time, records []record) []record {
	m.forgetUnbelievable(now)
	limit := maxBelieved(now)
	return slices.DeleteFunc(records, func(r record) bool {
		if r.clock <= limit {
			return false
		}
		total := m.refused.Add(1)
		if m.refusedLogged.IsZero() || now.Sub(m.refusedLogged) >= logEvery {
			m.refusedLogged = now
			m.log.Warn("broadcast map: record refused, its clock is higher than any cluster's",
				"key", r.key, "author", r.author, "clock", r.clock, "limit", limit, "total", total)
		}
		return true
	})
}

// forgetUnbelievable removes records far above what is believed at now. They
// are here only if this host's clock was set back by more than clockSlack:
// while it was ahead, too much was believed. Without this, all that the peer
// writes from then on would be refused by others. The caller holds mu.
func (m *Map) forgetUnbelievable(now time.Time) {
	limit := maxBelieved(now) + clockSlack
	if m.clock <= limit {
		return
	}
	m.clock = 0
	maps.DeleteFunc(m.forgotten, func(_ string, r record) bool { return r.clock > limit })
	for _, r := range m.forgotten {
		m.clock = max(m.clock, r.clock)
	}
	for key, r := range m.records {
		if r.clock > limit {
			m.forget(key)
			m.tellGone(r, reasonClock)
		} else {
			m.clock = max(m.clock, r.clock)
		}
	}
	m.queue.Reset()
	m.tellChange()
}

// apply takes over those records that win against what is known and returns
// what is news and stays: these, and deletions that were remembered again
// because of them. The caller holds mu.
func (m *Map) apply(now time.Time, via string, records ...record) []record {
	m.expire(now)
	newcomer := m.isNew()
	var won []record
	for _, r := range records {
		m.clock = max(m.clock, r.clock)
		reason := ""
		old, known := m.records[r.key]
		if gone, deleted := m.forgotten[r.key]; deleted {
			switch order := r.compare(gone); {
			case order < 0 && r.deleted:
				continue
			case order < 0:
				// Whoever sent this has missed the deletion: tell it anew.
				r, reason = gone, reasonAgain
				r.gone = now
			case order == 0 && now.Sub(r.gone) > m.ttl/2:
				continue // another is about to forget the same
			}
			delete(m.forgotten, r.key)
		} else if !known && !newcomer && m.late(now, r) {
			reason = reasonLate
		}
		if known {
			switch order := r.compare(old); {
			case order < 0:
				continue
			case order == 0:
				// The same deletion: the one who has known it longest knows
				// its age best.
				if r.gone.Before(old.gone) {
					old.gone = r.gone
					m.keep(old)
				}
				continue
			}
		}
		m.keep(r)
		m.tell(r, via, reason)
		won = append(won, r)
	}
	if len(won) == 0 {
		return nil
	}
	m.trim(now)
	m.tellChange()
	return slices.DeleteFunc(won, func(r record) bool {
		kept, ok := m.records[r.key]
		return !ok || kept.compare(r) != 0
	})
}

// tellChange wakes those who wait for Changed. The caller holds mu.
func (m *Map) tellChange() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// keep makes r the record of its key. The caller holds mu.
func (m *Map) keep(r record) {
	m.forget(r.key)
	m.records[r.key] = r
	m.order(r).ReplaceOrInsert(r)
	if r.deleted && r.gone.Before(m.oldestGone) {
		m.oldestGone = r.gone
	}
}

// forget removes the record of a key, if there is one. The caller holds mu.
func (m *Map) forget(key string) {
	if r, ok := m.records[key]; ok {
		m.order(r).Delete(r)
		delete(m.records, key)
	}
}

// order returns the records that are like r, a deletion or not.
func (m *Map) order(r record) *btree.BTreeG[record] {
	if r.deleted {
		return m.tombstones
	}
	return m.entries
}

// late reports whether r, of a key that is not known here, may have been deleted
// so long ago that nobody remembers: by its author's clock it was written before
// the oldest deletion that is passed on. The caller holds mu.
func (m *Map) late(now time.Time, r record) bool {
	return !r.deleted && now.Sub(time.UnixMilli(r.when)) >= m.ttl
}

// bury stops passing on a deletion, and goes on to remember it. The caller holds
// mu.
func (m *Map) bury(r record) {
	m.forget(r.key)
	m.forgotten[r.key] = r
	if len(m.forgotten) <= maxForgotten {
		return
	}
	// The oldest tenth, so that this is seldom.
	oldest := slices.SortedFunc(maps.Values(m.forgotten), record.compare)
	for _, r := range oldest[:len(oldest)/10] {
		delete(m.forgotten, r.key)
	}
}

// expire stops passing on the deletions that are too old. It looks at all records
// only when there may be one. The caller holds mu.
func (m *Map) expire(now time.Time) {
	if now.Sub(m.oldestGone) < m.ttl {
		return
	}
	m.oldestGone = now
	for _, r := range m.records {
		switch {
		case !r.deleted:
		case now.Sub(r.gone) >= m.ttl:
			m.bury(r)
		case r.gone.Before(m.oldestGone):
			m.oldestGone = r.gone
		}
	}
}

// trim removes tombstones that are too old and the oldest writes beyond the
// limits. The caller holds mu. Which entries stay depends only on what they
// are, not on when they came: so members that know the same keep the same.
func (m *Map) trim(now time.Time) {
	m.expire(now)
	for m.entries.Len() > MaxEntries {
		r, _ := m.entries.Min()
		m.forget(r.key)
		m.tellGone(r, reasonRoom)
	}
	for m.tombstones.Len() > maxTombstones {
		r, _ := m.tombstones.Min()
		m.bury(r)
	}
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
