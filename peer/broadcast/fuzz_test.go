package broadcast_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"peerlab/peer/broadcast"
)

func TestMalformedIsDropped(t *testing.T) {
	a := newMap(t, "alice")
	add(t, a, "k", "text")
	msg := a.Broadcasts(0, 1400)[0]
	long := newMap(t, strings.Repeat("x", 64))
	add(t, long, "k", "text")
	broken := map[string][]byte{
		"nothing":         {},
		"no record":       {1},
		"another version": append([]byte{2}, msg[1:]...),
		"another kind":    append([]byte{1, 2}, msg[2:]...),
		"cut off":         msg[:len(msg)-1],
		"trailing":        append(slices.Clone(msg), 0),
		"two records":     append(slices.Clone(msg), msg[1:]...),
		"clock of zero":   append([]byte{1, 0, 0}, msg[3:]...),
		"space in key":    bytes.Replace(msg, []byte("\x01k"), []byte("\x01 "), 1),
		"empty key":       bytes.Replace(msg, []byte("\x01k"), []byte("\x00"), 1),
		"bad text":        bytes.Replace(msg, []byte("text"), []byte("te\xff\xff"), 1),
		"huge length":     append(slices.Clone(msg[:9]), bytes.Repeat([]byte{0xff}, 9)...),
	}
	m := newMap(t, "bob")
	var dropped uint64
	for name, b := range broken {
		m.Receive(b)
		if dropped++; m.Dropped() != dropped {
			t.Errorf("%s is not counted", name)
			dropped = m.Dropped()
		}
	}
	want(t, m, "")
	// A state is taken as a whole or not at all.
	m.Merge(append(a.State(false), 7), false)
	want(t, m, "")
	if m.Dropped() != dropped+1 {
		t.Error("the malformed state is not counted")
	}
	m.Receive(msg)
	want(t, m, "k=text")
}

// FuzzReceive gives a map any bytes: whatever it accepts is within the limits
// and reaches another as it is.
func FuzzReceive(f *testing.F) {
	seed := newMap(f, "seed")
	add(f, seed, "a", "text")
	add(f, seed, "b", "")
	remove(f, seed, "b")
	for _, msg := range seed.Broadcasts(0, 1<<20) {
		f.Add(msg)
	}
	f.Add(seed.State(false))
	for _, clock := range []uint64{1 << 40, 1 << 50, 1 << 53, 1 << 62} {
		f.Add(message(clock, "mine", "x"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := newMap(t, "me")
		m.Receive(b)
		m.Merge(b, false)
		for _, e := range m.List() {
			if len(e.Key) < 1 || len(e.Key) > broadcast.MaxKey || len(e.Text) > broadcast.MaxText || strings.ContainsAny(e.Key, " \n\x1b") {
				t.Errorf("accepted %+v", e)
			}
			if _, err := e.When.MarshalJSON(); err != nil {
				t.Error(err)
			}
		}
		other := newMap(t, "other")
		if state := m.State(false); state != nil {
			other.Merge(state, false)
		}
		if !slices.Equal(m.List(), other.List()) || other.Dropped() != 0 {
			t.Errorf("%q became %q", show(m), show(other))
		}
		// Whatever was heard, the next write wins, here and elsewhere.
		time.Sleep(time.Microsecond)
		if err := m.Add("mine", "text"); err != nil {
			t.Fatal(err)
		}
		other.Merge(m.State(false), false)
		if !strings.Contains(show(m), "mine=text") || !strings.Contains(show(other), "mine=text") {
			t.Errorf("an own write does not win: %q, %q", show(m), show(other))
		}
	})
}
