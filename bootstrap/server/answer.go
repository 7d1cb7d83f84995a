package server

import (
	"cmp"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"peerlab/bootstrap/store"
)

// cache keeps the last encoded list: it is asked far more often than it
// changes, and encoding it costs more than the rest of the work. Of a list that
// has changed most entries have not.
type cache struct{ last atomic.Pointer[cached] }

// cached is json.Marshal of a bootstrap.List by hand, which takes a third of
// the time: times are what encoding/json is slowest at. A test holds one
// against the other. What an offer's sender is told besides goes between head
// and tail.
type cached struct {
	state      store.State // kept alive, so that no other state gets its map's address
	peers      []encoded   // by age
	head, tail []byte
}

type encoded struct {
	entry store.Entry
	json  []byte
}

// get returns the encoding of state. A store gives the same map as long as
// nothing has changed, and never changes a map that it gave.
func (c *cache) get(state store.State, ttl time.Duration) *cached {
	last := c.last.Load()
	if last == nil {
		last = new(cached)
	} else if last.state.MaxPeers == state.MaxPeers && last.state.MinRefillCandidates == state.MinRefillCandidates &&
		reflect.ValueOf(last.state.Peers).Pointer() == reflect.ValueOf(state.Peers).Pointer() {
		return last
	}
	next := &cached{state: state, peers: make([]encoded, 0, len(state.Peers))}
	next.head = append(append(make([]byte, 0, 96), `{"config":`...), encodeJSON(state.Config())...)
	next.head = strconv.AppendInt(append(next.head, `,"ttl":`...), int64(ttl.Seconds()), 10)
	next.tail = append(make([]byte, 0, 32+384*len(state.Peers)), `,"peers":[`...)
	for i, e := range byAge(state) {
		if i > 0 {
			next.tail = append(next.tail, ',')
		}
		start := len(next.tail)
		at, found := slices.BinarySearchFunc(last.peers, e, func(a encoded, b store.Entry) int { return compareAge(a.entry, b) })
		if found && last.peers[at].entry == e {
			next.tail = append(next.tail, last.peers[at].json...)
		} else {
			next.tail = appendListed(next.tail, e)
		}
		next.peers = append(next.peers, encoded{e, next.tail[start:]})
	}
	next.tail = append(next.tail, "]}"...)
	c.last.Store(next)
	return next
}

// writeList answers with the list. id is the sender of an offer, "" for others.
func (s *service) writeList(w http.ResponseWriter, state store.State, id string) {
	l := s.lists.get(state, s.TTL)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(l.head) // a client gone is nobody's loss
	if _, there := state.Peers[id]; there {
		_, _ = w.Write(toldListed)
	}
	_, _ = w.Write(l.tail)
}

var toldListed = []byte(`,"listed":true`)

func appendListed(b []byte, e store.Entry) []byte {
	b = append(b, encodeJSON(e.Peer)...)
	b = b[:len(b)-1] // more comes before the brace
	if e.View != "" {
		b = append(append(b, `,"view":`...), encodeJSON(e.View)...)
	}
	when := func(name string, milliseconds int64) {
		b = append(append(b, name...), '"')
		b = time.UnixMilli(milliseconds).UTC().AppendFormat(b, time.RFC3339Nano)
		b = append(b, '"')
	}
	when(`,"registered":`, e.Registered)
	when(`,"renewed":`, e.Renewed)
	if e.TTL != 0 {
		when(`,"expires":`, e.Renewed+e.TTL)
	}
	return append(b, '}')
}

// byAge returns the entries, the longest-running first.
func byAge(state store.State) []store.Entry {
	entries := make([]store.Entry, 0, len(state.Peers))
	for _, e := range state.Peers {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, compareAge)
	return entries
}

func compareAge(a, b store.Entry) int {
	sa, _ := a.Since() // valid: it was stored
	sb, _ := b.Since()
	return cmp.Or(cmp.Compare(sa, sb), cmp.Compare(a.ID, b.ID))
}

func writeJSON(w http.ResponseWriter, v any) { writeBody(w, encodeJSON(v)) }

func writeBody(w http.ResponseWriter, b []byte) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // a client gone is nobody's loss
}

func encodeJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and times of this age: no value can fail
	}
	return b
}
