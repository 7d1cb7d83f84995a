package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	conformance(t, func(t *testing.T, maxPeers, minRefillCandidates int) Store {
		return NewMemory(maxPeers, minRefillCandidates)
	})
}

// conformance is what every store must do. open returns a new, empty one.
func conformance(t *testing.T, open func(t *testing.T, maxPeers, minRefillCandidates int) Store) {
	run := func(name string, test func(*testing.T, Store)) {
		t.Run(name, func(t *testing.T) {
			s := open(t, 2, 3)
			test(t, s)
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	view := func(t *testing.T, s Store) State {
		t.Helper()
		state, err := s.View(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return state
	}

	run("new", func(t *testing.T, s Store) {
		if got := view(t, s); got.MaxPeers != 2 || got.MinRefillCandidates != 3 || got.Peers == nil || len(got.Peers) != 0 {
			t.Errorf("got %+v", got)
		}
	})
	run("update", func(t *testing.T, s Store) {
		before := view(t, s)
		after, err := s.Update(t.Context(), func(s *State) error {
			s.Join(peer("alice", "1"))
			s.Configure(5, 0)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for what, got := range map[string]State{"returned": after, "kept": view(t, s)} {
			if got.MaxPeers != 5 || got.MinRefillCandidates != 0 || len(got.Peers) != 1 || got.Peers["alice"] != peer("alice", "1") {
				t.Errorf("%s %+v", what, got)
			}
		}
		if len(before.Peers) != 0 || before.MaxPeers != 2 {
			t.Errorf("an update changed what a reader already had: %+v", before)
		}
	})
	run("failed update", func(t *testing.T, s Store) {
		wrong := errors.New("wrong")
		_, err := s.Update(t.Context(), func(s *State) error {
			s.Join(peer("alice", "1"))
			s.MaxPeers = 9
			return wrong
		})
		if err != wrong {
			t.Errorf("error %v, want the one of change", err)
		}
		if got := view(t, s); len(got.Peers) != 0 || got.MaxPeers != 2 {
			t.Errorf("a failed update left %+v", got)
		}
	})
	run("panic in update", func(t *testing.T, s Store) {
		func() {
			defer func() { _ = recover() }()
			_, _ = s.Update(t.Context(), func(s *State) error {
				s.MaxPeers = 9
				panic("change")
			})
		}()
		// The old server kept its lock here.
		after, err := s.Update(t.Context(), func(*State) error { return nil })
		if err != nil || after.MaxPeers != 2 {
			t.Errorf("after a panic: %+v, %v", after, err)
		}
	})
	run("ended context", func(t *testing.T, s Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.View(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("view: %v", err)
		}
		_, err := s.Update(ctx, func(s *State) error { s.MaxPeers = 9; return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("update: %v", err)
		}
		if got := view(t, s); got.MaxPeers != 2 {
			t.Errorf("changed to %+v", got)
		}
	})
	run("no update is lost", func(t *testing.T, s Store) {
		const writers, each = 16, 20
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				for i := range each {
					_, err := s.Update(t.Context(), func(s *State) error {
						s.MinRefillCandidates++
						s.Peers[fmt.Sprint(w)] = peer(fmt.Sprint(w), strconv.Itoa(i))
						return nil
					})
					if err != nil {
						t.Error(err)
					}
					state, err := s.View(t.Context())
					if err != nil || len(state.Peers) > writers || state.Peers[fmt.Sprint(w)].Timestamp != strconv.Itoa(i) {
						t.Errorf("writer %d does not see its own update %d: %+v, %v", w, i, state, err)
					}
				}
			})
		}
		all.Wait()
		if got := view(t, s); got.MinRefillCandidates != 3+writers*each || len(got.Peers) != writers {
			t.Errorf("got %d updates and %d peers", got.MinRefillCandidates-3, len(got.Peers))
		}
	})
}
