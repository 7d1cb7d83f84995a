package chat

import (
	"bufio"
	"bytes"
	"testing"
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
		fr, err := readFrame(bufio.NewReader(bytes.NewReader(in)))
		if err != nil {
			return
		}
		again, err := readFrame(bufio.NewReader(bytes.NewReader(appendFrame(nil, fr))))
		if err != nil || !proto.Equal(again, fr) {
			t.Fatalf("%v comes back as %v, %v", fr, again, err)
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
		s := &session{chat: c, reader: bufio.NewReader(bytes.NewReader(in)), member: c.meet(writer{"a", 1}), caller: true}
		if err := s.hold(); err != nil {
			t.Fatal(err)
		}
		for {
			fr, err := readFrame(s.reader)
			if err != nil || s.check(fr) != nil {
				break
			}
			c.mu.Lock()
			s.take(fr, time.Now())
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
