package testbed

import (
	"encoding/binary"
	"time"

	"peerlab/event"
)

// packed is part of a long history in a tenth of the memory: what events of one
// cluster say is said over and over. It does not change, so that it can be read
// without a lock.
//
// Each event is a bit for each field that is not zero, and then those fields:
// texts by their number among words, numbers as varints, the time as the
// difference to the event before.
type packed struct {
	bytes []byte
	n     int
	words []string
	zones []*time.Location
}

// words numbers texts, and the time zones of events.
type words struct {
	number map[string]uint64
	text   []string
	zones  []*time.Location
}

func (w *words) of(text string) uint64 {
	n, ok := w.number[text]
	if !ok {
		if w.number == nil {
			w.number = make(map[string]uint64)
		}
		n = uint64(len(w.text))
		w.number[text], w.text = n, append(w.text, text)
	}
	return n
}

func (w *words) zone(z *time.Location) uint64 {
	for i, known := range w.zones { // there is one, seldom two
		if known == z {
			return uint64(i)
		}
	}
	w.zones = append(w.zones, z)
	return uint64(len(w.zones) - 1)
}

// fields are the parts of an event but for its time and its zone, in the order
// in which they are packed.
type fields struct {
	texts   [14]*string
	numbers [9]*uint64
	signed  [2]*int
}

func fieldsOf(e *event.Event, incarnation *uint64) fields {
	return fields{
		texts: [14]*string{
			&e.Peer, (*string)(&e.Kind), &e.Member, &e.Addr, &e.Was, &e.Message, &e.Text, &e.URL, &e.Reason, &e.Error,
			&e.Key, &e.Digest, &e.Via, &e.Shell,
		},
		numbers: [9]*uint64{&e.Seq, incarnation, &e.Life, &e.Messages, &e.Packets, &e.Streams, &e.Bytes, &e.Version, &e.Dropped},
		signed:  [2]*int{&e.Members, &e.Health},
	}
}

// instant is a time as two numbers.
type instant struct {
	seconds int64
	nanos   int
}

func instantOf(t time.Time) instant { return instant{t.Unix(), t.Nanosecond()} }

func pack(w *words, events []event.Event) *packed {
	b := make([]byte, 0, 32*len(events))
	var before instant
	for _, e := range events {
		incarnation := uint64(e.Incarnation)
		f := fieldsOf(&e, &incarnation)
		var mask uint64
		bit := uint64(1)
		note := func(zero bool) {
			if !zero {
				mask |= bit
			}
			bit <<= 1
		}
		for _, text := range f.texts {
			note(*text == "")
		}
		for _, number := range f.numbers {
			note(*number == 0)
		}
		for _, number := range f.signed {
			note(*number == 0)
		}
		zone := w.zone(e.Time.Location())
		mask |= zone * bit
		b = binary.AppendUvarint(b, mask)
		now := instantOf(e.Time)
		b = binary.AppendVarint(b, now.seconds-before.seconds)
		b = binary.AppendVarint(b, int64(now.nanos-before.nanos))
		before = now
		for _, text := range f.texts {
			if *text != "" {
				b = binary.AppendUvarint(b, w.of(*text))
			}
		}
		for _, number := range f.numbers {
			if *number != 0 {
				b = binary.AppendUvarint(b, *number)
			}
		}
		for _, number := range f.signed {
			if *number != 0 {
				b = binary.AppendVarint(b, int64(*number))
			}
		}
	}
	return &packed{bytes: append([]byte(nil), b...), n: len(events), words: w.text, zones: w.zones}
}

// after returns the events after the first n.
func (p *packed) after(n int) []event.Event {
	events := make([]event.Event, p.n)
	rest := p.bytes
	unsigned := func() uint64 {
		v, size := binary.Uvarint(rest)
		rest = rest[size:]
		return v
	}
	signed := func() int64 {
		v, size := binary.Varint(rest)
		rest = rest[size:]
		return v
	}
	var now instant
	for i := range events {
		e := &events[i]
		var incarnation uint64
		f := fieldsOf(e, &incarnation)
		mask := unsigned()
		now.seconds += signed()
		now.nanos += int(signed())
		has := func() bool {
			set := mask&1 != 0
			mask >>= 1
			return set
		}
		for _, text := range f.texts {
			if has() {
				*text = p.words[unsigned()]
			}
		}
		for _, number := range f.numbers {
			if has() {
				*number = unsigned()
			}
		}
		for _, number := range f.signed {
			if has() {
				*number = int(signed())
			}
		}
		e.Incarnation = uint32(incarnation)
		e.Time = time.Unix(now.seconds, int64(now.nanos)).In(p.zones[mask])
	}
	return events[n:]
}
