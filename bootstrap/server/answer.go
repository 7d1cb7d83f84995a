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

// cache keeps the encoded answer to a list: it is asked far more often than it
// changes, and encoding it costs more than the rest of the work.
type cache struct{ last atomic.Pointer[cached] }

type cached struct {
	state store.State // kept alive, so that no other state gets its map's address
	body  []byte
}

// list returns the body of the answer for state. A store gives the same map as
// long as nothing has changed, and never changes a map that it gave.
func (c *cache) list(state store.State, encode func() []byte) []byte {
	last := c.last.Load()
	if last != nil && last.state.MaxPeers == state.MaxPeers && last.state.MinRefillCandidates == state.MinRefillCandidates &&
		reflect.ValueOf(last.state.Peers).Pointer() == reflect.ValueOf(state.Peers).Pointer() {
		return last.body
	}
	last = &cached{state, encode()}
	c.last.Store(last)
	return last.body
}

// writeList answers with the list. id is the sender of an offer, "" for others.
func (s *service) writeList(w http.ResponseWriter, state store.State, id string) {
	if id != "" {
		writeBody(w, s.encodeList(state, id))
		return
	}
	writeBody(w, s.lists.list(state, func() []byte { return s.encodeList(state, "") }))
}

// encodeList is json.Marshal of a bootstrap.List by hand, which takes a third
// of the time: times are what encoding/json is slowest at. A test holds one
// against the other.
func (s *service) encodeList(state store.State, id string) []byte {
	b := append(make([]byte, 0, 128+384*len(state.Peers)), `{"config":`...)
	b = append(b, encodeJSON(state.Config())...)
	b = strconv.AppendInt(append(b, `,"ttl":`...), int64(s.TTL.Seconds()), 10)
	if _, there := state.Peers[id]; there {
		b = append(b, `,"listed":true`...)
	}
	b = append(b, `,"peers":[`...)
	for i, e := range byAge(state) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendListed(b, e)
	}
	return append(b, "]}"...)
}

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
	slices.SortFunc(entries, func(a, b store.Entry) int {
		sa, _ := a.Since() // valid: it was stored
		sb, _ := b.Since()
		return cmp.Or(cmp.Compare(sa, sb), cmp.Compare(a.ID, b.ID))
	})
	return entries
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
