package broadcast_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"peerlab/peer/broadcast"
)

// history makes writes of several authors who hear of each other now and then,
// one of whom restarts and counts from 1 again. It returns every message and a
// state of every member at several times.
func history(t *testing.T, r *rand.Rand) (messages, states [][]byte) {
	members := []*broadcast.Map{newMap(t, "alice"), newMap(t, "bob"), newMap(t, "carol"), newMap(t, "alice")}
	for range 60 {
		i := r.IntN(len(members))
		m, key := members[i], fmt.Sprintf("k%d", r.IntN(8))
		switch r.IntN(5) {
		case 0:
			_ = m.Delete(key) // unknown is as good as any case here
		case 1:
			sync(m, members[(i+1)%len(members)])
		default:
			add(t, m, key, fmt.Sprintf("%d", r.IntN(100)))
		}
		messages = append(messages, m.Broadcasts(0, 1<<20)...)
		if state := m.State(false); state != nil && r.IntN(4) == 0 {
			states = append(states, state)
		}
		time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond) // of virtual time
	}
	for _, m := range members {
		states = append(states, m.State(false))
	}
	return messages, states
}

// Whoever has heard the same holds the same, whatever the order, however
// often, and in whatever mixture of messages and states.
func TestConvergence(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			messages, states := history(t, r)
			var first *broadcast.Map
			for range 5 {
				m := newMap(t, "reader")
				var apply []func()
				for _, msg := range slices.Concat(messages, messages[:len(messages)/2]) {
					apply = append(apply, func() { m.Receive(msg) })
				}
				for _, state := range states {
					apply = append(apply, func() { m.Merge(state, false) })
				}
				r.Shuffle(len(apply), func(i, j int) { apply[i], apply[j] = apply[j], apply[i] })
				for _, f := range apply {
					f()
				}
				if m.Dropped() != 0 {
					t.Fatalf("seed %d: %d were dropped", seed, m.Dropped())
				}
				if first == nil {
					first = m
				} else if !slices.Equal(first.List(), m.List()) || !bytes.Equal(first.State(false), m.State(false)) {
					t.Fatalf("seed %d: %q and %q", seed, show(first), show(m))
				}
			}
			if len(first.List()) == 0 {
				t.Fatalf("seed %d: the history made nothing", seed)
			}
		})
	}
}

// Merge is commutative, associative and idempotent.
func TestMergeIsAJoin(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			_, states := history(t, rand.New(rand.NewPCG(seed, 1)))
			join := func(parts ...[]byte) []byte {
				m := newMap(t, "reader")
				for _, p := range parts {
					m.Merge(p, false)
				}
				return m.State(false)
			}
			a, b, c := states[len(states)-1], states[len(states)-2], states[0]
			if !bytes.Equal(join(a, b), join(b, a)) {
				t.Errorf("seed %d: not commutative", seed)
			}
			if !bytes.Equal(join(join(a, b), c), join(a, join(b, c))) {
				t.Errorf("seed %d: not associative", seed)
			}
			if !bytes.Equal(join(a, a, b, a), join(a, b)) {
				t.Errorf("seed %d: not idempotent", seed)
			}
		})
	}
}

// What is news is passed on once, old news is not.
func TestNewsIsPassedOn(t *testing.T) {
	alice, bob := newMap(t, "alice"), newMap(t, "bob")
	add(t, alice, "k", "1")
	msgs := alice.Broadcasts(3, 1400)
	if len(msgs) != 1 {
		t.Fatalf("%d messages", len(msgs))
	}
	if m := bob.Broadcasts(3, 1400); len(m) != 0 {
		t.Fatalf("bob has %d messages before he heard anything", len(m))
	}
	for range 3 {
		bob.Receive(msgs[0])
	}
	sent := 0
	for len(bob.Broadcasts(3, 1400)) == 1 {
		sent++
		bob.Receive(msgs[0])
	}
	// RetransmitMult * ceil(log10(N+1)) = 4 * 1 for five members.
	if sent != 4 {
		t.Errorf("bob passes it on %d times, want 4", sent)
	}
	// A newer write replaces an older one that waits.
	add(t, alice, "k", "2")
	add(t, alice, "k", "3")
	if msgs = alice.Broadcasts(3, 1400); len(msgs) != 1 {
		t.Errorf("%d messages for one key", len(msgs))
	}
	// A newcomer learns by push/pull and does not repeat it to those who know.
	carol := newMap(t, "carol")
	carol.Merge(alice.State(true), true)
	if m := carol.Broadcasts(3, 1400); len(m) != 0 {
		t.Errorf("the newcomer gossips %d messages", len(m))
	}
	// The one who meets the other side of a partition tells its own.
	add(t, alice, "x", "1")
	carol.Merge(alice.State(false), false)
	if m := carol.Broadcasts(3, 1400); len(m) != 1 {
		t.Errorf("carol gossips %d messages, want x", len(m))
	}
}

// A peer that is alone for long does not queue without end.
func TestQueueIsBounded(t *testing.T) {
	m := newMap(t, "alice")
	for i := range 2500 {
		key := fmt.Sprintf("k%04d", i)
		add(t, m, key, "")
		remove(t, m, key)
	}
	if n := len(m.Broadcasts(0, 1<<30)); n != 2000 {
		t.Errorf("%d messages wait, want one for each of the last 2000 keys", n)
	}
}
