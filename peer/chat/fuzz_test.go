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

// Whatever frames come on a connection, a chat takes them or drops them: it
// does not panic, delivers nothing twice and nothing out of order.
func FuzzSession(f *testing.F) {
	var all []byte
	for _, fr := range frames[1:] {
		f.Add(appendFrame(nil, fr))
		all = appendFrame(all, fr)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, in []byte) {
		c := bare(t)
		s := &session{chat: c, reader: &frameReader{conn: iotest.HalfReader(bytes.NewReader(in))}, member: c.meet(writer{"a", 1}), caller: true}
		if err := s.hold(); err != nil {
			t.Fatal(err)
		}
		var frames []incoming
		for end := error(nil); end == nil; {
			frames, end = s.reader.batch(frames[:0])
			c.mu.Lock()
			s.takeAll(frames, time.Now())
			c.mu.Unlock()
			if _, _, err := s.collect(); err != nil {
				t.Fatal(err)
			}
		}
		s.release()
		next := make(map[writer]uint64)
		for _, e := range c.history.order {
			if next[e.by]++; e.seq != next[e.by] {
				t.Fatalf("%v is number %d of its writer", e.id(), next[e.by])
			}
		}
	})
}
