// Package storetest is what every store must do, as tests.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"peerlab/bootstrap"
	"peerlab/bootstrap/store"
)

// Entry returns a valid entry that does not expire.
func Entry(id, timestamp string) store.Entry {
	return store.NewEntry(bootstrap.Peer{
		ID: id, Name: id, IP: "192.0.2.1", Port: "7946",
		Protocol: "tcp", Status: "0", Timestamp: timestamp,
	}, "", time.UnixMilli(1e12), 0)
}

// Conformance fails t where a store does not do what store.Store promises.
// open is called for each test and returns two replicas over the same new
// data; for a store that can have but one, that one twice.
func Conformance(t *testing.T, open func(t *testing.T, maxPeers, minRefillCandidates int) [2]store.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, [2]store.Store)
	}{
		{"new", empty},
		{"update", update},
		{"failed update", failedUpdate},
		{"panic in update", panicInUpdate},
		{"ended context", endedContext},
		{"another writer between read and write", interrupted},
		{"no update is lost", noneLost},
		{"never over the maximum", neverOver},
		{"expiry", expiry},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t, 2, 3)
			test.run(t, s)
			for i := range s {
				if i > 0 && s[i] == s[0] {
					break
				}
				if err := s[i].Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}
		})
	}
}

func view(t *testing.T, s store.Store) store.State {
	t.Helper()
	state, err := s.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func change(t *testing.T, s store.Store, f func(*store.State)) store.State {
	t.Helper()
	state, err := s.Update(t.Context(), func(s *store.State) error { f(s); return nil })
	if err != nil {
		t.Error(err)
	}
	return state
}

func empty(t *testing.T, s [2]store.Store) {
	if got := view(t, s[1]); got.MaxPeers != 2 || got.MinRefillCandidates != 3 || got.Peers == nil || len(got.Peers) != 0 {
		t.Errorf("got %+v", got)
	}
}

func update(t *testing.T, s [2]store.Store) {
	before := view(t, s[0])
	after := change(t, s[0], func(s *store.State) {
		s.Join(Entry("alice", "1"))
		s.Configure(5, 0)
	})
	for what, got := range map[string]store.State{"returned": after, "kept": view(t, s[0]), "seen by the other": view(t, s[1])} {
		if got.MaxPeers != 5 || got.MinRefillCandidates != 0 || len(got.Peers) != 1 || got.Peers["alice"] != Entry("alice", "1") {
			t.Errorf("%s %+v", what, got)
		}
	}
	if len(before.Peers) != 0 || before.MaxPeers != 2 {
		t.Errorf("an update changed what a reader already had: %+v", before)
	}
	change(t, s[1], func(s *store.State) { s.Join(Entry("bob", "2")); s.Leave("alice") })
	if got := view(t, s[0]); len(got.Peers) != 1 || got.Peers["bob"] != Entry("bob", "2") {
		t.Errorf("after a leave and a join: %+v", got)
	}
	change(t, s[0], (*store.State).Reset)
	if got := view(t, s[1]); len(got.Peers) != 0 || got.MaxPeers != 5 {
		t.Errorf("after a reset: %+v", got)
	}
}

func failedUpdate(t *testing.T, s [2]store.Store) {
	wrong := errors.New("wrong")
	_, err := s[0].Update(t.Context(), func(s *store.State) error {
		s.Join(Entry("alice", "1"))
		s.MaxPeers = 9
		return wrong
	})
	if !errors.Is(err, wrong) {
		t.Errorf("error %v, want the one of change", err)
	}
	if got := view(t, s[0]); len(got.Peers) != 0 || got.MaxPeers != 2 {
		t.Errorf("a failed update left %+v", got)
	}
}

func panicInUpdate(t *testing.T, s [2]store.Store) {
	func() {
		defer func() { _ = recover() }()
		_, _ = s[0].Update(t.Context(), func(s *store.State) error {
			s.MaxPeers = 9
			panic("change")
		})
	}()
	// The old server kept its lock here.
	if after := change(t, s[0], func(*store.State) {}); after.MaxPeers != 2 {
		t.Errorf("after a panic: %+v", after)
	}
}

func endedContext(t *testing.T, s [2]store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s[0].View(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("view: %v", err)
	}
	_, err := s[0].Update(ctx, func(s *store.State) error { s.MaxPeers = 9; return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("update: %v", err)
	}
	if got := view(t, s[0]); got.MaxPeers != 2 {
		t.Errorf("changed to %+v", got)
	}
}

// interrupted lets another write after the first has read and before it
// writes, where two replicas can do that to each other; then a context ends at
// that point.
func interrupted(t *testing.T, s [2]store.Store) {
	if s[0] != s[1] {
		calls := 0
		after := change(t, s[0], func(first *store.State) {
			if calls++; calls == 1 {
				change(t, s[1], func(second *store.State) { second.Join(Entry("bob", "1")) })
			}
			first.Join(Entry("alice", "1"))
			first.MinRefillCandidates++
		})
		if calls < 2 {
			t.Errorf("change was called %d times: it did not see the other's write", calls)
		}
		if len(after.Peers) != 2 || after.MinRefillCandidates != 4 {
			t.Errorf("of two writers one was lost: %+v", after)
		}
	}
	before := view(t, s[0])
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := s[0].Update(ctx, func(s *store.State) error {
		s.MaxPeers = 9
		cancel()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if got := view(t, s[1]); !got.Equal(before) {
		t.Errorf("what ended between read and write left %+v", got)
	}
}

func noneLost(t *testing.T, s [2]store.Store) {
	const writers, each = 16, 10
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			mine, id := s[w%2], fmt.Sprint(w)
			for i := range each {
				change(t, mine, func(s *store.State) {
					s.MinRefillCandidates++
					s.Peers[id] = Entry(id, strconv.Itoa(i))
				})
				state, err := mine.View(t.Context())
				if err != nil || len(state.Peers) > writers || state.Peers[id].Timestamp != strconv.Itoa(i) {
					t.Errorf("writer %d does not see its own update %d: %+v, %v", w, i, state, err)
				}
			}
		})
	}
	all.Wait()
	for _, s := range s {
		if got := view(t, s); got.MinRefillCandidates != 3+writers*each || len(got.Peers) != writers {
			t.Errorf("got %d updates and %d peers", got.MinRefillCandidates-3, len(got.Peers))
		}
	}
}

func neverOver(t *testing.T, s [2]store.Store) {
	var all sync.WaitGroup
	for w := range 16 {
		all.Go(func() {
			after := change(t, s[w%2], func(s *store.State) { s.Join(Entry(fmt.Sprint(w), "1")) })
			if len(after.Peers) > 2 {
				t.Errorf("%d peers, at most 2 are wanted", len(after.Peers))
			}
		})
	}
	all.Wait()
	if got := view(t, s[0]); len(got.Peers) != 2 {
		t.Errorf("in the end %+v", got)
	}
}

// expiry uses real time, because a store may be another process.
func expiry(t *testing.T, s [2]store.Store) {
	short := Entry("short", "1")
	short.Renewed, short.TTL = time.Now().UnixMilli(), 1500
	over := Entry("over", "1")
	over.TTL = 1
	change(t, s[0], func(s *store.State) { s.Join(short); s.Join(over) })
	got := view(t, s[1])
	if _, ok := got.Peers["over"]; ok {
		t.Error("an entry whose time was over is listed")
	}
	if got.Peers["short"] != short {
		t.Errorf("an entry whose time is not over is missing from %+v", got)
	}
	if wait := time.Until(short.Expires()); wait > 0 {
		<-time.After(wait)
	}
	if got := view(t, s[1]); len(got.Peers) != 0 {
		t.Errorf("after its time: %+v", got)
	}
	after := change(t, s[0], func(s *store.State) {
		if len(s.Peers) != 0 {
			t.Errorf("an update was shown %+v", s)
		}
		s.Join(Entry("alice", "1"))
		s.Join(Entry("bob", "1"))
	})
	if len(after.Peers) != 2 {
		t.Errorf("the expired still take room: %+v", after)
	}
}
