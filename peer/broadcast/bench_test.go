package broadcast

import (
	"fmt"
	"testing"
	"time"

	"peerlab/event"
)

// BenchmarkReceive takes in one message, with as many entries and tombstones as
// a map has.
func BenchmarkReceive(b *testing.B) {
	now := time.Now()
	at := func(clock int, key string, deleted bool) record {
		return record{key: key, author: "bob", clock: uint64(clock), when: now.UnixMilli(), deleted: deleted, gone: now}
	}
	for _, bench := range []struct {
		name string
		next func(i int) record
	}{
		{"known", func(int) record { return at(1, "live1", false) }},
		{"news", func(i int) record { return at(10_000+i, fmt.Sprintf("live%d", i%MaxEntries), false) }},
		{"newDeletion", func(i int) record { return at(10_000+i, fmt.Sprintf("new%d", i), true) }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			m, err := New(Options{Name: "alice", NumNodes: func() int { return 1 }})
			if err != nil {
				b.Fatal(err)
			}
			for i := range MaxEntries {
				m.apply(now, event.ViaGossip, at(2*i+1, fmt.Sprintf("live%d", i), false), at(2*i+2, fmt.Sprintf("gone%d", i), true))
			}
			for i := 0; b.Loop(); i++ {
				m.Receive(bench.next(i).append([]byte{version}, now))
			}
		})
	}
}
