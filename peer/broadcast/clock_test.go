package broadcast_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"peerlab/peer/broadcast"
)

// message is what a stranger can put into one packet: a write with any clock.
func message(clock uint64, key, text string) []byte {
	b := binary.AppendUvarint([]byte{1, 0}, clock)
	b = binary.AppendUvarint(b, uint64(time.Now().UnixMilli()))
	for _, s := range []string{key, "mallory", text} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// syncAll is as many push/pulls as it takes for all to know what one knows.
func syncAll(maps ...*broadcast.Map) {
	for range 2 {
		for i, a := range maps {
			for _, b := range maps[i+1:] {
				sync(a, b)
			}
		}
	}
}

// usable checks that every one of maps can write and delete, and that all
// agree on it.
func usable(t *testing.T, maps ...*broadcast.Map) {
	t.Helper()
	time.Sleep(time.Millisecond)
	for i, m := range maps {
		key := fmt.Sprintf("written-%d", i)
		add(t, m, key, "x")
		add(t, m, "contested", fmt.Sprintf("%d", i))
		syncAll(maps...)
		remove(t, m, key)
		syncAll(maps...)
		for j, other := range maps {
			if !strings.Contains(show(other), fmt.Sprintf("contested=%d", i)) || strings.Contains(show(other), key) {
				t.Errorf("map %d wrote and deleted, map %d has %q", i, j, show(other))
			}
		}
	}
}

// No record with any clock keeps a cluster from writing: not in a packet, not
// in a push/pull, not the second time.
func TestOneRecordDoesNotStopTheMap(t *testing.T) {
	for _, tc := range []struct {
		name    string
		clock   func() uint64
		refused bool
	}{
		{"the highest", func() uint64 { return 1 << 62 }, true},
		{"half of it", func() uint64 { return 1 << 61 }, true},
		{"far ahead of the time", func() uint64 { return 1 << 53 }, true},
		{"a month ahead of the time", func() uint64 { return uint64(time.Now().Add(30 * 24 * time.Hour).UnixMicro()) }, true},
		{"the time", func() uint64 { return uint64(time.Now().UnixMicro()) }, false},
		{"a cluster with many writes", func() uint64 { return 1 << 40 }, false},
	} {
		for _, way := range []string{"packet", "push/pull"} {
			t.Run(tc.name+" by "+way, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					alice, bob, carol := newMap(t, "alice"), newMap(t, "bob"), newMap(t, "carol")
					add(t, alice, "motd", "hello")
					syncAll(alice, bob, carol)
					for range 3 {
						msg := message(tc.clock(), "evil", "x")
						if way == "packet" {
							bob.Receive(msg)
						} else {
							bob.Merge(msg, true)
						}
					}
					if got, want := bob.Refused() > 0, tc.refused; got != want {
						t.Errorf("%d records are counted as refused, want that %t", bob.Refused(), want)
					}
					if got := strings.Contains(show(bob), "evil"); got == tc.refused {
						t.Errorf("bob has %q", show(bob))
					}
					if bob.Dropped() != 0 {
						t.Errorf("%d are counted as malformed", bob.Dropped())
					}
					syncAll(alice, bob, carol)
					usable(t, alice, bob, carol)
					// One that is started again by itself finds the same.
					again := newMap(t, "carol")
					again.Merge(alice.State(true), true)
					usable(t, alice, bob, again)
					if !strings.Contains(show(again), "motd=hello") {
						t.Errorf("what was there before is lost: %q", show(again))
					}
				})
			})
		}
	}
}

// A stranger who always sends the highest clock that is still believed gets
// nowhere either: what is believed rises faster than anybody can write.
func TestTheClockCannotBeWalkedToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob := newMap(t, "alice"), newMap(t, "bob")
		for range 50 {
			accepted, refused := uint64(0), uint64(math.MaxInt64)
			for refused-accepted > 1 {
				probe := newMap(t, "probe")
				middle := accepted + (refused-accepted)/2
				if probe.Receive(message(middle, "evil", "x")); len(probe.List()) == 1 {
					accepted = middle
				} else {
					refused = middle
				}
			}
			alice.Receive(message(accepted, "evil", "x"))
			time.Sleep(time.Millisecond)
			// A thousand writes in a millisecond are told to others at once.
			for i := range 1000 {
				add(t, alice, "busy", fmt.Sprint(i))
			}
			sync(alice, bob)
			if !slices.Equal(alice.List(), bob.List()) {
				t.Fatalf("alice has %q, bob %q", show(alice), show(bob))
			}
		}
		usable(t, alice, bob)
	})
}

// Clocks that a cluster has honestly come to are taken over by those who know
// nothing of them, in whatever way they hear of them first.
func TestAHighClockIsTakenOver(t *testing.T) {
	for name, hear := range map[string]func(m *broadcast.Map, msg, state []byte){
		"by a packet first":   func(m *broadcast.Map, msg, state []byte) { m.Receive(msg); m.Merge(state, false) },
		"by a push/pull":      func(m *broadcast.Map, _, state []byte) { m.Merge(state, true) },
		"after own writes":    func(m *broadcast.Map, _, state []byte) { _ = m.Add("own", "x"); m.Merge(state, false) },
		"a packet only, late": func(m *broadcast.Map, msg, _ []byte) { _ = m.Add("own", "x"); m.Receive(msg) },
	} {
		t.Run(name, func(t *testing.T) {
			old := newMap(t, "old")
			old.Receive(message(1<<39, "history", "long"))
			add(t, old, "k", "of the many")
			msg := old.Broadcasts(0, 1<<20)
			late := newMap(t, "late")
			hear(late, msg[len(msg)-1], old.State(true))
			if late.Refused() != 0 || !strings.Contains(show(late), "k=of the many") {
				t.Errorf("%d refused, the map is %q", late.Refused(), show(late))
			}
			usable(t, old, late)
		})
	}
}

// A member of an older version may hold a poisoned record beside good ones,
// and hands it to everyone for as long as it runs.
func TestOnlyThePoisonOfAStateIsRefused(t *testing.T) {
	old := newMap(t, "old")
	add(t, old, "a", "1")
	add(t, old, "z", "26")
	state := slices.Concat(old.State(true), message(1<<62, "evil", "x")[1:], message(2, "last", "y")[1:])
	fresh := newMap(t, "fresh")
	for range 3 {
		fresh.Merge(state, true)
	}
	want(t, fresh, "a=1 last=y z=26")
	if fresh.Refused() != 3 || fresh.Dropped() != 0 {
		t.Errorf("%d refused and %d malformed, want 3 and 0", fresh.Refused(), fresh.Dropped())
	}
	usable(t, fresh, newMap(t, "another"))
	// The key that was poisoned there is free here.
	add(t, fresh, "evil", "mine")
}

// What is refused is told in the log, and a flood does not fill it.
func TestRefusalsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		m, err := broadcast.New(broadcast.Options{
			Name: "me", NumNodes: func() int { return 1 }, Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		flood := func() {
			for range 1000 {
				m.Receive(message(1<<62, "evil", "x"))
				m.Merge([]byte("nonsense"), false)
			}
		}
		flood()
		lines := strings.Count(log.String(), "\n")
		if lines != 2 || !strings.Contains(log.String(), "clock") || !strings.Contains(log.String(), "key=evil") ||
			!strings.Contains(log.String(), "malformed") {
			t.Errorf("%d lines, want one on the clock and one on malformed input:\n%s", lines, log.String())
		}
		time.Sleep(time.Hour)
		flood()
		if more := strings.Count(log.String(), "\n") - lines; more != 2 || !strings.Contains(log.String(), "total=1001") {
			t.Errorf("%d more lines an hour later:\n%s", more, log.String())
		}
	})
}
