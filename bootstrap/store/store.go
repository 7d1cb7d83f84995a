// Package store keeps the data of the bootstrap service: one small value,
// read whole and changed whole.
//
// One value instead of one record per peer, because the rules concern all
// peers together (never more than so many, replace the newest), and because a
// whole value is what every store can change atomically: a map under a mutex,
// a bolt transaction, a compare-and-swap in etcd or Firestore.
//
// The memory store is here; the others, with what they depend on, are in
// packages of their own below this one, and storetest holds what all must do.
package store

import "context"

// Store keeps one State. All methods may be called concurrently.
type Store interface {
	// View returns the latest state without the entries that have expired. It
	// may be shared with other callers and must not be changed.
	View(ctx context.Context) (State, error)

	// Update changes the state as one atomic step and returns the state that
	// the step left behind, under the same condition as View. It calls change
	// with a private copy of the latest state, expired entries removed, and
	// again with a newer copy when somebody else was faster; change must
	// therefore depend on nothing but its argument, and must not keep it. When
	// change fails, the state stays as it was and Update returns that error
	// unwrapped.
	Update(ctx context.Context, change func(*State) error) (State, error)

	// Close releases what the store holds. The store is not used afterwards.
	Close() error
}
