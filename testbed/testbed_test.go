package testbed

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"peerlab/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNames(t *testing.T) {
	names := Names(60)
	if len(names) != 60 || names[0] != "alice" || names[26] != "peer27" {
		t.Errorf("%q", names)
	}
	seen := make(map[string]bool)
	for _, name := range names {
		if err := CheckName(name); err != nil || seen[name] || name == Bootstrap || name == Lab {
			t.Errorf("%s: seen before %t, %v", name, seen[name], err)
		}
		seen[name] = true
	}
	for _, bad := range []string{"", "-a", "a-", "A", "a b", "a/b", "é", strings.Repeat("a", 33)} {
		if CheckName(bad) == nil {
			t.Errorf("%q is taken for a name", bad)
		}
	}
}

func TestNoPeer(t *testing.T) {
	for _, test := range []struct {
		name  string
		known []string
		want  string
	}{
		{"alcie", Names(5), "did you mean alice?"},
		{"xyzzy", Names(2), "there are alice, bob"},
		{"xyzzy", Names(30), "judy, …"},
		{"alice", nil, "empty"},
	} {
		err := NoPeer(test.name, test.known)
		if !errors.Is(err, ErrNoPeer) || !strings.HasSuffix(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestHistory(t *testing.T) {
	h := NewHistory()
	read := make(chan []event.Event)
	go func() {
		events, _ := h.Read(context.Background(), 1)
		read <- events
	}()
	h.Add(event.Event{Peer: "a", Seq: 1})
	h.Record(event.Event{Kind: LabKill, Member: "a"})
	if got := <-read; len(got) != 1 || got[0].Peer != Lab || got[0].Seq != 1 || got[0].Time.IsZero() {
		t.Errorf("read %v", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := h.Read(ctx, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("read: %v", err)
	}
	h.Close()
	h.Close()
	h.Add(event.Event{Peer: "late"})
	if _, err := h.Read(context.Background(), 2); !errors.Is(err, ErrClosed) || h.Len() != 2 {
		t.Errorf("after the end: %v, %d events", err, h.Len())
	}
	if got, _ := h.Since(-1); len(got) != 2 {
		t.Errorf("all: %v", got)
	}
}

// TestSorted has one peer stamp an event before the one it reported first, and
// one stamp an event like another that came later.
func TestSorted(t *testing.T) {
	at := func(ms int, peer string, seq uint64) event.Event {
		return event.Event{Time: time.UnixMilli(int64(ms)), Peer: peer, Seq: seq}
	}
	in := []event.Event{at(20, "b", 1), at(10, "z", 1), at(10, "a", 1), at(30, "a", 2), at(25, "a", 3), at(28, "b", 2)}
	var got []string
	for _, e := range Sorted(in) {
		got = append(got, e.Peer+string(rune('0'+e.Seq)))
	}
	if want := []string{"z1", "a1", "b1", "b2", "a2", "a3"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
