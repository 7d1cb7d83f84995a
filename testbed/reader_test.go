package testbed

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"peerlab/event"
)

// TestReadingIsLinear reads a long backlog one event at a time. What is allocated
// meanwhile is what is copied: each event of an old piece once, when its piece is
// unpacked, and none of a new one.
func TestReadingIsLinear(t *testing.T) {
	h := NewHistory()
	const n = 12*chunk + 5
	for i := range n {
		h.Add(event.Event{Time: time.Unix(0, int64(i)), Peer: "alice", Seq: uint64(i), Kind: event.MemberJoin, Member: "bob"})
	}
	h.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := h.Reader()
	for i := range n {
		if !r.Ready() {
			t.Fatalf("nothing is ready after %d events", i)
		}
		e, err := r.Next(t.Context())
		if err != nil || e.Seq != uint64(i) {
			t.Fatalf("event %d: %v, %v", i, e, err)
		}
	}
	runtime.ReadMemStats(&after)
	copied := float64(after.TotalAlloc-before.TotalAlloc) / float64(unsafe.Sizeof(event.Event{}))
	if copied > 2*n {
		t.Errorf("%.0f events were copied to read %d", copied, n)
	}
	if _, err := r.Next(t.Context()); !errors.Is(err, ErrClosed) || r.Ready() {
		t.Errorf("at the end: %v", err)
	}
}

// TestReadOfABacklogIsBounded has Read return a part of what is unread, never
// all of it.
func TestReadOfABacklogIsBounded(t *testing.T) {
	h := NewHistory()
	const n = (unpacked + 3) * chunk
	for i := range n {
		h.Add(event.Event{Time: time.Unix(0, int64(i)), Seq: uint64(i)})
	}
	read := 0
	for read < n {
		events, err := h.Read(t.Context(), read)
		if err != nil || len(events) == 0 || len(events) > chunk || events[0].Seq != uint64(read) {
			t.Fatalf("after %d: %d events, %v", read, len(events), err)
		}
		read += len(events)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Read(ctx, read); !errors.Is(err, context.Canceled) {
		t.Errorf("after all: %v", err)
	}
}

// TestPackedKeepsEveryField packs events in which any field may have any value,
// fields that are new too.
func TestPackedKeepsEveryField(t *testing.T) {
	zones := []*time.Location{time.Local, time.UTC, time.FixedZone("somewhere", 3600)}
	rapid.Check(t, func(t *rapid.T) {
		events := make([]event.Event, rapid.IntRange(1, 20).Draw(t, "events"))
		for i := range events {
			v := reflect.ValueOf(&events[i]).Elem()
			for f := range v.NumField() {
				name := v.Type().Field(f).Name
				field := v.Field(f)
				if name != "Time" && rapid.Bool().Draw(t, name+" is zero") {
					continue
				}
				switch field.Kind() {
				case reflect.String:
					field.SetString(rapid.String().Draw(t, name))
				case reflect.Int:
					field.SetInt(rapid.Int64().Draw(t, name))
				case reflect.Uint32:
					field.SetUint(uint64(rapid.Uint32().Draw(t, name)))
				case reflect.Uint64:
					field.SetUint(rapid.Uint64().Draw(t, name))
				default:
					if name != "Time" {
						t.Fatalf("an event has a %s, %s, that this test does not know", field.Kind(), name)
					}
					at := time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
					events[i].Time = at.In(rapid.SampledFrom(zones).Draw(t, "zone"))
				}
			}
		}
		if got := pack(new(words), events).after(0); !reflect.DeepEqual(got, events) {
			t.Fatalf("%+v came back as %+v", events, got)
		}
	})
}

// TestPackedChatIsSmall: what is said in a chat takes no more room packed than
// its text and a few bytes for each that has it.
func TestPackedChatIsSmall(t *testing.T) {
	var w words
	events := make([]event.Event, chunk)
	for i := range events {
		message := "alice/1700000000000000000/" + string(rune('0'+i/10%10))
		events[i] = event.Event{Time: time.Unix(0, int64(i)), Peer: "bob", Seq: uint64(i), Kind: event.ChatDelivered, Member: "alice", Message: message, Text: "hello"}
	}
	if p := pack(&w, events); len(p.bytes) > 16*len(events) {
		t.Errorf("%d bytes for each event", len(p.bytes)/len(events))
	}
}

// BenchmarkPack packs and unpacks a piece.
func BenchmarkPack(b *testing.B) {
	names := Names(100)
	events := make([]event.Event, chunk)
	for i := range events {
		events[i] = event.Event{Time: time.Unix(0, int64(i)), Peer: names[i%100], Seq: uint64(i), Kind: event.MemberJoin, Member: names[i/100], Addr: "10.77.0.11:7946", Incarnation: 1}
	}
	var w words
	var p *packed
	b.Run("pack", func(b *testing.B) {
		for b.Loop() {
			p = pack(&w, events)
		}
		b.ReportMetric(float64(len(p.bytes))/chunk, "bytes/event")
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/chunk, "ns/event")
	})
	b.Run("unpack", func(b *testing.B) {
		for b.Loop() {
			p.after(0)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/chunk, "ns/event")
	})
}
