// Package broadcast keeps a small key/value map in step on all members by
// gossip: the commands broadcastadd, broadcastdel and broadcastlist.
//
// The last writer of a key wins. Every write carries a Lamport clock, one more
// than the highest its author has seen, and of equal clocks the greater
// author's name wins, so that all members agree whatever the order in which
// they hear. "Last" therefore means: a write made in the knowledge of another
// wins over it; of two made in ignorance of each other, one wins. A peer that
// writes before it has heard of the others' writes starts from 1 and may lose.
//
// A deletion is a write too, a tombstone. Members pass it on for a day
// (Options.TombstoneTTL), the last 1000 of them, and its age with it, so clocks
// of different hosts need not agree. After that they keep it to themselves, the
// last 10,000. A member that was out of contact for longer brings the key back:
// whoever remembers the deletion then refuses the key and passes the deletion on
// anew. If nobody remembers, the key is back, and the event says that it may be
// one that was deleted.
//
// A clock from the network is believed up to one write a microsecond since
// 1970, which no cluster comes to by writing: see maxBelieved. A record with a
// higher one is refused, alone, and counted. So nobody can use up the clocks,
// and a map always takes the next write.
//
// News is gossiped RetransmitMult*ceil(log10(N+1)) times by everyone to whom
// it is news, because memberlist does not forward user messages; what is still
// missed, push/pull brings.
package broadcast

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/btree"
	"github.com/hashicorp/memberlist"

	"peerlab/event"
	"peerlab/nearest"
)

// The limits. An entry at all of them, with memberlist's overhead and
// encryption, fits one packet of 1400 bytes (UDPBufferSize). With a smaller one
// or a Label of more than 100 bytes, long entries wait for push/pull.
const (
	MaxKey     = 64   // bytes of a key, and of an author's name
	MaxText    = 1024 // bytes of a text
	MaxEntries = 1000
	// maxTombstones is as many deleted keys as are passed on.
	maxTombstones = 1000
	// maxForgotten is as many as are remembered after that, some 2 MB.
	maxForgotten = 10_000
	// DefaultTombstoneTTL is for how long a deletion is passed on.
	DefaultTombstoneTTL = 24 * time.Hour
)

// Options are what New needs. Name and NumNodes must be set.
type Options struct {
	Name string // of this peer, the author of what it writes: 1 to 64 bytes
	// NumNodes returns the number of members, on which it depends how often
	// news is sent. It is called from memberlist's goroutines, possibly before
	// membership.Create has returned, and must not call the Map.
	NumNodes func() int
	// RetransmitMult decides, together with the number of members, how often
	// each member repeats news; 0 means 4, memberlist's default for a LAN.
	RetransmitMult int
	// TombstoneTTL is for how long a deletion is passed on; 0 means
	// DefaultTombstoneTTL.
	TombstoneTTL time.Duration
	// Events is told of every key that is set or deleted; nil tells nobody.
	Events *event.Log
	// Log is told, at most once a minute each, of refused records and of
	// malformed input; nil logs nothing.
	Log *slog.Logger
}

// Entry is one key with its text.
type Entry struct {
	Key    string    `json:"key"`
	Text   string    `json:"text"` // UTF-8, control characters included
	Author string    `json:"author"`
	When   time.Time `json:"when"` // by the author's clock, to the millisecond
}

// Map is the map as this peer knows it. Its methods may be called
// concurrently and never block. It is a membership.Channel and starts no
// goroutine.
type Map struct {
	name    string
	ttl     time.Duration
	events  *event.Log
	queue   memberlist.TransmitLimitedQueue
	log     *slog.Logger
	dropped atomic.Uint64
	refused atomic.Uint64

	mu      sync.Mutex // taken before the queue's own
	clock   uint64     // the highest seen
	records map[string]record
	// entries and tombstones are the records, ordered by record.compare: those for
	// which there is no room come first.
	entries, tombstones *btree.BTreeG[record]
	oldestGone          time.Time // no tombstone was gone before; zero if that is not known
	// forgotten are tombstones that are not passed on any more, of keys that are
	// not among records.
	forgotten map[string]record
	changed   chan struct{}

	refusedLogged, droppedLogged time.Time // when the log was told last
}

// New returns an empty map.
func New(o Options) (*Map, error) {
	if why := badWord(o.Name); why != "" {
		return nil, fmt.Errorf("broadcast: author's name %s", why)
	}
	if o.NumNodes == nil {
		return nil, errors.New("broadcast: NumNodes must be set")
	}
	if o.RetransmitMult < 0 || o.TombstoneTTL < 0 {
		return nil, errors.New("broadcast: RetransmitMult and TombstoneTTL must not be negative")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	m := &Map{
		name:    o.Name,
		log:     o.Log,
		ttl:     cmp.Or(o.TombstoneTTL, DefaultTombstoneTTL),
		events:  o.Events,
		records: make(map[string]record), forgotten: make(map[string]record),
		changed: make(chan struct{}),
	}
	isOlder := func(r, s record) bool { return r.compare(s) < 0 }
	m.entries, m.tombstones = btree.NewG(32, isOlder), btree.NewG(32, isOlder)
	m.queue.NumNodes = o.NumNodes
	m.queue.RetransmitMult = cmp.Or(o.RetransmitMult, 4)
	return m, nil
}

// Add sets key to text on all members. A key is a word of 1 to 64 bytes of
// printable characters, a text up to 1024 bytes of UTF-8, and there are at most
// MaxEntries entries. When several members pass that limit at the same time,
// all keep the same newest entries.
func (m *Map) Add(key, text string) error {
	if err := Check(key, text); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetUnbelievable(time.Now())
	if old, ok := m.records[key]; m.entries.Len() >= MaxEntries && (!ok || old.deleted) {
		return fmt.Errorf("broadcast key %q does not fit: there are %d entries already, delete some", key, m.entries.Len())
	}
	m.write(record{key: key, text: text})
	return nil
}

// Check says why a key cannot have a text, whatever else the map has.
func Check(key, text string) error {
	if why := badWord(key); why != "" {
		return fmt.Errorf("broadcast key %s", why)
	}
	if why := badText(text); why != "" {
		return fmt.Errorf("broadcast text %s", why)
	}
	return nil
}

// Delete removes keys on all members: all of them, or none when one does not
// exist.
func (m *Map) Delete(keys ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetUnbelievable(time.Now())
	for _, key := range keys {
		if r, ok := m.records[key]; !ok || r.deleted {
			return m.unknown(key)
		}
	}
	for _, key := range keys {
		if m.records[key].deleted {
			continue // named twice
		}
		m.write(record{key: key, deleted: true})
	}
	return nil
}

func (m *Map) unknown(key string) error {
	var keys []string
	for _, r := range m.records {
		if !r.deleted {
			keys = append(keys, r.key)
		}
	}
	switch near := nearest.To(key, keys); {
	case len(keys) == 0:
		return fmt.Errorf("no broadcast key %q: there are none", key)
	case len(near) > 0:
		return fmt.Errorf("no broadcast key %q: did you mean %s?", key, strings.Join(near, ", "))
	}
	return fmt.Errorf("no broadcast key %q among %d", key, len(keys))
}

// write makes r this peer's newest write. The caller holds mu.
func (m *Map) write(r record) {
	now := time.Now()
	r.clock, r.author, r.when, r.gone = m.clock+1, m.name, now.UnixMilli(), now
	m.gossip(m.apply(now, event.ViaOwn, r))
}

// List returns all entries by key.
func (m *Map) List() []Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	entries := make([]Entry, 0, m.entries.Len())
	for _, key := range slices.Sorted(maps.Keys(m.records)) {
		if r := m.records[key]; !r.deleted {
			entries = append(entries, Entry{r.key, r.text, r.author, time.UnixMilli(r.when).UTC()})
		}
	}
	return entries
}

// Changed returns a channel that is closed at the next change of the map.
func (m *Map) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// Dropped returns how many messages and states of others were malformed.
func (m *Map) Dropped() uint64 { return m.dropped.Load() }

// Refused returns how many records of others were refused because their clock
// is higher than any that a cluster comes to by writing.
func (m *Map) Refused() uint64 { return m.refused.Load() }
