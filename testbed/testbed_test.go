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

// TestLongHistory reads across the pieces in which it is kept, packed or not,
// and finds all as it was.
func TestLongHistory(t *testing.T) {
	h := NewHistory()
	const n = (unpacked+2)*chunk + 2
	added := make([]event.Event, n)
	for i := range added {
		e := event.Event{
			Time: time.Unix(0, int64(i)), Peer: "alice", Seq: uint64(i), Kind: event.MemberSuspect,
			Member: "bob", Addr: "10.0.0.1:7946", Incarnation: uint32(i), Was: "alive", Health: i % 8, Members: i,
		}
		switch i % 1000 {
		case 1:
			e.Text = "hello"
		case 2:
			e.Time = e.Time.UTC()
		case 3:
			e.Time = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
		case 4:
			e.Seq = 1 << 40
		case 5:
			e.Health = -1
		case 6:
			e = event.Event{Kind: event.BootstrapError, Error: "refused", URL: "http://x"}
		}
		added[i] = e
		h.Add(e)
	}
	if p := h.chunks[0].packed; p == nil || len(p.bytes) > 48*chunk {
		t.Error("the first piece is not packed")
	}
	for _, after := range []int{-1, 0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 4*chunk + 7, n - 1, n, n + 1} {
		events, _ := h.Since(after)
		if want := added[min(max(after, 0), n):]; !slices.Equal(events, want) {
			t.Errorf("after %d: not what was added", after)
		}
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
