package chat

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"google.golang.org/protobuf/proto"

	"peerlab/peer/chat/chatpb"
)

var frames = []*chatpb.Frame{
	{Kind: &chatpb.Frame_Hello{Hello: &chatpb.Hello{From: "a", To: "b", Incarnation: 1}}},
	{Kind: &chatpb.Frame_Message{Message: &chatpb.Message{
		Author: "a", Incarnation: 1, Seq: 1, Text: "hello", Causes: []*chatpb.Mark{{Author: "b", Incarnation: 2, Seq: 3}},
	}}},
	{Kind: &chatpb.Frame_Ack{Ack: &chatpb.Ack{Seq: 1}}},
	{Kind: &chatpb.Frame_Sync{Sync: &chatpb.Sync{Have: []*chatpb.Mark{{Author: "a", Incarnation: 1, Seq: 1}}, Answer: true}}},
	{Kind: &chatpb.Frame_Pull{Pull: &chatpb.Pull{Ranges: []*chatpb.Range{{Author: "a", Incarnation: 1, First: 1, Last: 1 << 60}}}}},
	{Kind: &chatpb.Frame_Ping{Ping: &chatpb.Ping{Id: 1}}},
}

func FuzzReadFrame(f *testing.F) {
	for _, fr := range frames {
		f.Add(appendFrame(nil, fr))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		fr, err := (&frameReader{conn: bytes.NewReader(in)}).one()
		if err != nil {
			return
		}
		again, err := (&frameReader{conn: bytes.NewReader(appendFrame(nil, fr))}).one()
		if err != nil || !proto.Equal(again, fr) {
			t.Fatalf("%v comes back as %v, %v", fr, again, err)
		}
	})
}

// A message read the short way is what the generated code reads, and is written as
// the generated code writes it.
func FuzzMessage(f *testing.F) {
	for _, m := range []*chatpb.Message{
		frames[1].GetMessage(),
		{Author: "a", Incarnation: 1 << 63, Seq: 200, Text: strings.Repeat("\u00fc", 300)},
		{Author: "a", Incarnation: 1, Seq: 1, Text: "x", Causes: []*chatpb.Mark{{Author: "a", Incarnation: 1}, {Author: "\xff", Incarnation: 1}}},
	} {
		b, err := proto.Marshal(m)
		if err == nil {
			f.Add(b)
		}
	}
	f.Add([]byte("\x0a\x01a\x10\x01\x18\x01\x2a\x01\xff"))          // text that is no UTF-8
	f.Add([]byte("\x0a\x01a\x10\x01\x18\x01\x2a\x01x\x32\x01y"))    // a field of a later version
	f.Add([]byte("\x0a\x01a\x10\x01\x18\x01\x22\x00\x2a\x01x"))     // a mark of nothing
	f.Add([]byte("\x18\x02\x0a\x01a\x10\x01\x18\x01\x2a\x02xy"))    // a number twice
	f.Add([]byte("\x0a\x01a\x12\x01\x01\x10\x01\x18\x01\x2a\x01x")) // a number that is a string
	f.Fuzz(func(t *testing.T, in []byte) {
		short, ok := quickly(in, "a")
		if !ok {
			return
		}
		var m chatpb.Message
		if err := proto.Unmarshal(in, &m); err != nil {
			t.Fatalf("%v, but the short way reads %+v", err, short)
		}
		long, bad := arrivalOf(&m)
		if !reflect.DeepEqual(short.entry, long.entry) || !bytes.Equal(short.body, long.body) {
			t.Fatalf("the short way reads %+v, the generated code %+v", short, long)
		}
		if bad != nil {
			return
		}
		e := short.entry
		e.text = string(short.body)
		encoded := e.encode(nil)
		var again chatpb.Message
		if err := proto.Unmarshal(encoded, &again); err != nil || !proto.Equal(&again, &m) {
			t.Fatalf("%v is written as %v, %v", &m, &again, err)
		}
		if e.encodedSize() != len(encoded) {
			t.Fatalf("%d bytes, %d were expected", len(encoded), e.encodedSize())
		}
		if back, ok := quickly(encoded, ""); !ok || !reflect.DeepEqual(back.entry, short.entry) {
			t.Fatalf("what was written is not read the short way: %+v", back)
		}
		frame := append(appendHead(nil, fieldRelayed, &e), e.text...)
		f, err := (&frameReader{conn: bytes.NewReader(frame)}).one()
		if err != nil || !proto.Equal(f.GetRelayed(), &m) {
			t.Fatalf("the frame is %v, %v", f, err)
		}
	})
}

// Whatever frames a member sends, a chat takes them or drops them: it does not
// panic, delivers nothing twice and nothing out of order, and no number makes more
// of anybody seem delivered than was. Only of the member itself may messages be
// given up on its word, and not more than a horizon at a time.
func FuzzSession(f *testing.F) {
	var all []byte
	for _, fr := range frames[1:] {
		f.Add(appendFrame(nil, fr))
		all = appendFrame(all, fr)
	}
	f.Add(all)
	for _, n := range []uint64{5, DefaultHorizon, maxSeq, middle, huge} {
		for _, of := range []string{"a", "b", "c", "d", "unknown"} {
			w := writer{of, 1}
			lie := appendFrame(nil, syncOf(vector{w: n}, vector{w: n}))
			f.Add(lie)
			f.Add(appendFrame(appendFrame(lie, relayedBy(text(of, n, "forged"))), pushed(text("a", n, "pushed"))))
			f.Add(appendFrame(appendFrame(nil, syncOf(vector{w: n}, vector{w: n - 1})), relayedBy(text(of, n, "forged"))))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c := bare(t)
		// b is the chat itself. It cannot reach c, and d is quiet.
		s := &session{chat: c, reader: &frameReader{conn: iotest.HalfReader(bytes.NewReader(in))}, member: listed(c, "a"), addr: "a", caller: true}
		listed(c, "c").failed = true
		listed(c, "d")
		for _, m := range c.members {
			m.answered, m.synced = true, time.Now()
		}
		if _, err := c.Send(t.Context(), "of this peer"); err != nil {
			t.Fatal(err)
		}
		if err := s.hold(); err != nil {
			t.Fatal(err)
		}
		self, skippable := s.member.writer, uint64(0)
		var frames []incoming
		for end := error(nil); end == nil; {
			frames, end = s.reader.batch(frames[:0])
			c.mu.Lock()
			s.takeAll(frames, time.Now())
			c.mu.Unlock()
			skippable += uint64(len(frames)+1) * DefaultHorizon
			if _, _, err := s.collect(); err != nil {
				t.Fatal(err)
			}
		}
		s.release()
		c.mu.Lock()
		defer c.mu.Unlock()
		last := make(map[writer]uint64)
		for _, e := range c.history.order {
			if e.seq <= last[e.by] {
				t.Fatalf("%v comes after number %d of its writer", e.id(), last[e.by])
			}
			last[e.by] = e.seq
		}
		for w, seq := range c.history.haves() {
			if w == self {
				if seq > last[w]+skippable {
					t.Fatalf("%d messages of the member itself are behind this peer, %d were delivered", seq, last[w])
				}
				continue
			}
			if seq != last[w] {
				t.Fatalf("%d messages of %v are behind this peer, %d were delivered", seq, w, last[w])
			}
		}
		if have := s.member.have[c.self]; have > 1 {
			t.Fatalf("it has %d messages of this peer, which sent one", have)
		}
		for w := range s.member.have {
			if !c.knows(w) {
				t.Fatalf("a mark of %v is kept, whom nothing told of", w)
			}
		}
	})
}
