// Package store keeps the data of the bootstrap service: one small value,
// read whole and changed whole.
//
// One value instead of one record per peer, because the rules concern all
// peers together (never more than so many, replace the newest), and because a
// whole value is what every store can change atomically: a map under a mutex,
// a bolt transaction, a compare-and-swap in etcd or Firestore.
package store

import (
	"context"
	"maps"

	"peerlab/bootstrap"
)

// Store keeps one State. All methods may be called concurrently.
type Store interface {
	// View returns the latest state. It may be shared with other callers and
	// must not be changed.
	View(ctx context.Context) (State, error)

	// Update changes the state as one atomic step and returns the state that
	// the step left behind, under the same condition as View. It calls change
	// with a private copy of the latest state, and again with a newer copy
	// when somebody else was faster; change must therefore depend on nothing
	// but its argument, and must not keep it. When change fails, the state
	// stays as it was and Update returns that error unwrapped.
	Update(ctx context.Context, change func(*State) error) (State, error)

	// Close releases what the store holds. The store is not used afterwards.
	Close() error
}

// State is what a store keeps.
type State struct {
	MaxPeers            int                       // how many peers join and refill may fill it up to
	MinRefillCandidates int                       // kept for the clients, without effect here
	Peers               map[string]bootstrap.Peer // by ID
}

// clone returns a copy that shares nothing with s and whose Peers is not nil.
func (s State) clone() State {
	s.Peers = maps.Clone(s.Peers)
	if s.Peers == nil {
		s.Peers = make(map[string]bootstrap.Peer)
	}
	return s
}

// Data returns s in the form of the wire. It shares the peers with s.
func (s State) Data() bootstrap.Data {
	return bootstrap.Data{
		Config: bootstrap.Config{
			MaxPeers:            s.MaxPeers,
			MinRefillCandidates: s.MinRefillCandidates,
			NumPeers:            len(s.Peers),
		},
		Peers: s.Peers,
	}
}
