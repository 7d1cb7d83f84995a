package store

import (
	"maps"
	"time"

	"peerlab/bootstrap"
)

// State is what a store keeps.
type State struct {
	MaxPeers            int              // how many peers join and refill may fill it up to
	MinRefillCandidates int              // kept for the clients, without effect here
	Peers               map[string]Entry // by ID
}

// Entry is one registered peer. Times are Unix milliseconds by the clock of
// the server that wrote them; numbers, so that entries compare with ==.
type Entry struct {
	bootstrap.Peer
	// View names the part of the cluster the peer is in: all that see each
	// other give the same. Empty if the peer did not say.
	View       string `json:"view,omitempty"`
	Registered int64  `json:"registered,omitempty"` // when the peer got its place
	Renewed    int64  `json:"renewed,omitempty"`    // when it last said that it is there
	TTL        int64  `json:"ttl,omitempty"`        // milliseconds after Renewed at which it goes; 0 for never
	// Foreign says that whoever registered the peer was at another address and
	// had no right to speak for others: nobody connects there on its word. It
	// is the exception that is written down, so that servers of before read
	// the entries of ordinary peers.
	Foreign bool `json:"foreign,omitempty"`
}

// NewEntry returns the entry of p registered at now. A TTL of 0 never ends.
func NewEntry(p bootstrap.Peer, view string, now time.Time, ttl time.Duration) Entry {
	return Entry{Peer: p, View: view, Registered: now.UnixMilli(), Renewed: now.UnixMilli(), TTL: ttl.Milliseconds()}
}

// Expires returns when the entry goes unless renewed, the zero time for never.
func (e Entry) Expires() time.Time {
	if e.TTL == 0 {
		return time.Time{}
	}
	return time.UnixMilli(e.Renewed + e.TTL)
}

// Expired says whether the entry's time is over at now.
func (e Entry) Expired(now time.Time) bool { return e.TTL != 0 && now.UnixMilli() >= e.Renewed+e.TTL }

// Clone returns a copy without the entries expired at now. It shares nothing
// with s, and its Peers is not nil.
func (s State) Clone(now time.Time) State {
	peers := make(map[string]Entry, len(s.Peers))
	for id, e := range s.Peers {
		if !e.Expired(now) {
			peers[id] = e
		}
	}
	s.Peers = peers
	return s
}

// At returns s without the entries expired at now: s itself, shared, if there
// are none.
func (s State) At(now time.Time) State {
	for _, e := range s.Peers {
		if e.Expired(now) {
			return s.Clone(now)
		}
	}
	return s
}

// Equal says whether both hold the same.
func (s State) Equal(t State) bool {
	return s.MaxPeers == t.MaxPeers && s.MinRefillCandidates == t.MinRefillCandidates && maps.Equal(s.Peers, t.Peers)
}

// Config returns the configuration in the form of the wire.
func (s State) Config() bootstrap.Config {
	return bootstrap.Config{MaxPeers: s.MaxPeers, MinRefillCandidates: s.MinRefillCandidates, NumPeers: len(s.Peers)}
}

// Data returns s in the form of the wire.
func (s State) Data() bootstrap.Data {
	d := bootstrap.Data{Config: s.Config(), Peers: make(map[string]bootstrap.Peer, len(s.Peers))}
	for id, e := range s.Peers {
		d.Peers[id] = e.Peer
	}
	return d
}
