// Package firestore keeps the bootstrap service's state in one document of
// Firestore, shared by any number of servers.
//
// Writes are a compare-and-swap: they carry the precondition that the document
// is as it was read, or is still missing. That asks less of the service than a
// transaction, which would lock the document for a round trip.
package firestore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	cloud "cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"peerlab/bootstrap/store"
	"peerlab/bootstrap/store/internal/rpc"
)

// maxPause bounds the wait after another server was faster, which doubles up
// to it: Firestore takes about one write a second to one document for long.
const maxPause = time.Second

// Store is one server's access to the document.
type Store struct {
	client *cloud.Client
	doc    *cloud.DocumentRef
	first  store.State
	turn   chan struct{} // held while writing: one server's requests need not race each other
}

var _ store.Store = (*Store)(nil)

// document is what is stored: the state as Encode gives it.
type document struct {
	State []byte `firestore:"state"`
}

// Open returns the store at a URL of the form
// firestore://PROJECT[/COLLECTION/DOCUMENT], by default the document
// bootstrap/state. Credentials are the application default ones; with
// FIRESTORE_EMULATOR_HOST set, the client contacts that, without credentials.
func Open(ctx context.Context, rawURL string, initial store.State) (*Store, error) {
	project, path, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	client, err := cloud.NewClient(context.WithoutCancel(ctx), project)
	if err != nil {
		return nil, fmt.Errorf("firestore project %s: %w", project, err)
	}
	return &Store{client, client.Doc(path), initial.Clone(time.Now()), make(chan struct{}, 1)}, nil
}

func parse(rawURL string) (project, path string, err error) {
	rest, ok := strings.CutPrefix(rawURL, "firestore://")
	project, path, _ = strings.Cut(rest, "/")
	if path = strings.Trim(path, "/"); path == "" {
		path = "bootstrap/state"
	}
	collection, doc, both := strings.Cut(path, "/")
	if !ok || project == "" || !both || collection == "" || doc == "" || strings.ContainsAny(doc, "/?#") {
		return "", "", errors.New("firestore URL: want firestore://PROJECT[/COLLECTION/DOCUMENT]")
	}
	return project, path, nil
}

// View implements store.Store. It asks Firestore each time.
func (s *Store) View(ctx context.Context) (store.State, error) {
	state, _, err := s.read(ctx)
	if err != nil {
		return store.State{}, fmt.Errorf("read firestore: %w", rpc.Cause(ctx, err))
	}
	return state.At(time.Now()), nil
}

// read returns the state and the document's time of update, the zero time if
// there is no document.
func (s *Store) read(ctx context.Context) (store.State, time.Time, error) {
	snap, err := s.doc.Get(ctx)
	if status.Code(err) == codes.NotFound {
		return s.first, time.Time{}, nil
	}
	if err != nil {
		return store.State{}, time.Time{}, err
	}
	var d document
	if err := snap.DataTo(&d); err != nil {
		return store.State{}, time.Time{}, fmt.Errorf("document %s: %w", s.doc.ID, err)
	}
	state, err := store.Decode(d.State)
	return state, snap.UpdateTime, err
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, change func(*store.State) error) (store.State, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return store.State{}, ctx.Err()
	}
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, maxPause) {
		before, read, err := s.read(ctx)
		if err != nil {
			return store.State{}, fmt.Errorf("read firestore: %w", rpc.Cause(ctx, err))
		}
		next := before.Clone(time.Now())
		if err := change(&next); err != nil {
			return store.State{}, err
		}
		if !read.IsZero() && next.Equal(before) {
			return next, nil
		}
		err = s.swap(ctx, read, next)
		if err == nil {
			return next, nil
		}
		switch status.Code(err) {
		case codes.FailedPrecondition, codes.AlreadyExists, codes.Aborted, codes.NotFound:
			// Somebody else was faster.
		default:
			return store.State{}, fmt.Errorf("write firestore: %w", rpc.Cause(ctx, err))
		}
		select {
		case <-time.After(rand.N(pause)):
		case <-ctx.Done():
			return store.State{}, ctx.Err()
		}
	}
}

// swap writes next if the document is as it was at read.
func (s *Store) swap(ctx context.Context, read time.Time, next store.State) error {
	d := document{store.Encode(next)}
	if read.IsZero() {
		_, err := s.doc.Create(ctx, d)
		return err
	}
	_, err := s.doc.Update(ctx, []cloud.Update{{Path: "state", Value: d.State}}, cloud.LastUpdateTime(read))
	return err
}

// Close implements store.Store.
func (s *Store) Close() error { return s.client.Close() }
