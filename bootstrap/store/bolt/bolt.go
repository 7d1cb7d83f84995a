// Package bolt keeps the bootstrap service's state in one file, which survives
// the end of the process at any instant.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"peerlab/bootstrap/store"
)

// ErrCorrupt is wrapped by Open's error for a file that is damaged.
var ErrCorrupt = errors.New("the file is damaged")

// lockTimeout is how long Open waits for another process to let go of the
// file: a predecessor that is just ending.
const lockTimeout = 2 * time.Second

var (
	bucket = []byte("bootstrap")
	key    = []byte("state")
)

// Store keeps its state in a bolt file, which it holds alone: what it wrote
// last is what it would read, so that reading never touches the file.
type Store struct {
	db      *bbolt.DB
	writing sync.Mutex // held from reading the state to replacing it
	state   atomic.Pointer[store.State]
}

var _ store.Store = (*Store)(nil)

// Open opens the file at path or makes it, with initial in it. A damaged file
// is an error that wraps ErrCorrupt, and is left where and as it is; it may stay
// locked until the process ends.
func Open(path string, initial store.State) (*Store, error) {
	db, err := openFile(path)
	if err != nil {
		return nil, err
	}
	s := &Store{db: db}
	if err := s.load(initial); err != nil {
		_ = db.Close() // the first error says more
		return nil, fmt.Errorf("bolt file %s: %w", path, err)
	}
	return s, nil
}

// SetAside renames the file at path, so that Open makes a new one, and returns
// its new name.
func SetAside(path string) (string, error) {
	for n := 1; ; n++ {
		aside := fmt.Sprintf("%s.damaged-%d", path, n)
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			if err := os.Rename(path, aside); err != nil {
				return "", fmt.Errorf("set the damaged bolt file aside: %w", err)
			}
			return aside, nil
		}
	}
}

func openFile(path string) (db *bbolt.DB, err error) {
	err = guarded(func() error {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout})
		return err
	})
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("bolt file %s: another process uses it: each server needs its own file", path)
	case errors.As(err, new(*fs.PathError)):
		return nil, fmt.Errorf("open bolt file: %w", err)
	}
	if !errors.Is(err, ErrCorrupt) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil, fmt.Errorf("bolt file %s: %w", path, err)
}

// load reads the state, or writes the initial one into a new file. It writes
// in any case: damage that only a writer meets shows at the start and not at
// the first request.
func (s *Store) load(initial store.State) error {
	return guarded(func() error {
		tx, err := s.db.Begin(true)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		b, err := tx.CreateBucketIfNotExists(bucket)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		state := initial.Clone(time.Now())
		if old := b.Get(key); old != nil {
			if state, err = store.Decode(old); err != nil {
				return fmt.Errorf("%w: %w", ErrCorrupt, err)
			}
		}
		if err := b.Put(key, store.Encode(state)); err != nil {
			return err
		}
		// Every page of the file, not only those of the value.
		for err := range tx.Check() {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		s.state.Store(&state)
		return tx.Commit()
	})
}

// guarded runs f, whose panics and faults while it reads a file that is not
// as it should be become errors: bolt maps the file into memory and trusts it.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", ErrCorrupt, v)
		}
	}()
	return f()
}

// View implements store.Store. It never waits for a writer.
func (s *Store) View(ctx context.Context) (store.State, error) {
	if err := ctx.Err(); err != nil {
		return store.State{}, err
	}
	return s.state.Load().At(time.Now()), nil
}

// Update implements store.Store. It returns when the change is on the disk.
func (s *Store) Update(ctx context.Context, change func(*store.State) error) (store.State, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := ctx.Err(); err != nil {
		return store.State{}, err
	}
	now := s.state.Load()
	next := now.Clone(time.Now())
	if err := change(&next); err != nil {
		return store.State{}, err
	}
	if next.Equal(*now) {
		return next, nil
	}
	err := guarded(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put(key, store.Encode(next)) })
	})
	if err != nil {
		return store.State{}, fmt.Errorf("write bolt file: %w", err)
	}
	s.state.Store(&next)
	return next, nil
}

// Close implements store.Store.
func (s *Store) Close() error { return s.db.Close() }
