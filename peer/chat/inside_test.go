package chat

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/peer/chat/chatpb"
)

// bare is a settled chat without company.
func bare(t testing.TB) *Chat {
	n := newNetwork()
	c := Join(Options{Name: "b", Incarnation: 1, Listener: n.listen("b"), Events: event.NewLog("b", 1000), Dial: func(ctx context.Context, addr string) (net.Conn, error) {
		return n.dial(ctx, "b", addr)
	}})
	c.settled = true
	t.Cleanup(func() { c.Leave(t.Context()) })
	return c
}

func text(author string, seq uint64, s string) *chatpb.Message {
	return &chatpb.Message{Author: author, Incarnation: 1, Seq: seq, Text: s}
}

// delivered returns the texts c's reader saw.
func delivered(c *Chat) string {
	var texts []string
	events, _ := c.Events.Since(0)
	for _, e := range events {
		if e.Kind == event.ChatDelivered {
			texts = append(texts, e.Text)
		}
	}
	return strings.Join(texts, " ")
}

func TestWhatAConnectionMayCarry(t *testing.T) {
	direct := func(m *chatpb.Message) *chatpb.Frame {
		return &chatpb.Frame{Kind: &chatpb.Frame_Message{Message: m}}
	}
	relayed := func(m *chatpb.Message) *chatpb.Frame {
		return &chatpb.Frame{Kind: &chatpb.Frame_Relayed{Relayed: m}}
	}
	for name, test := range map[string]struct {
		frames []*chatpb.Frame
		shown  string
		count  func(Stats) uint64
		ends   bool
	}{
		"the member's own":              {[]*chatpb.Frame{direct(text("a", 1, "one"))}, "one", func(s Stats) uint64 { return s.Delivered }, false},
		"another author":                {[]*chatpb.Frame{direct(text("c", 1, "forged"))}, "", func(s Stats) uint64 { return s.Forged }, false},
		"another life":                  {[]*chatpb.Frame{direct(&chatpb.Message{Author: "a", Incarnation: 2, Seq: 1, Text: "x"})}, "", func(s Stats) uint64 { return s.Forged }, false},
		"in this peer's name":           {[]*chatpb.Frame{direct(text("b", 1, "forged"))}, "", func(s Stats) uint64 { return s.Forged }, false},
		"relayed, not asked for":        {[]*chatpb.Frame{relayed(text("c", 1, "pushed in"))}, "", func(s Stats) uint64 { return s.Unasked }, false},
		"replayed":                      {[]*chatpb.Frame{direct(text("a", 1, "one")), direct(text("a", 1, "again"))}, "one", func(s Stats) uint64 { return s.Duplicates }, false},
		"out of turn":                   {[]*chatpb.Frame{direct(text("a", 2, "two")), direct(text("a", 1, "one"))}, "one two", func(s Stats) uint64 { return s.HeldBack }, false},
		"a frame of a later version":    {[]*chatpb.Frame{{}, direct(text("a", 1, "one"))}, "one", func(s Stats) uint64 { return s.Unknown }, false},
		"an ack of what was not sent":   {[]*chatpb.Frame{{Kind: &chatpb.Frame_Ack{Ack: &chatpb.Ack{Seq: 99}}}, direct(text("a", 1, "one"))}, "one", nil, false},
		"a text beyond the limit":       {[]*chatpb.Frame{direct(text("a", 1, strings.Repeat("x", MaxText+1)))}, "", func(s Stats) uint64 { return s.Oversized }, true},
		"a message without author":      {[]*chatpb.Frame{direct(text("", 1, "x"))}, "", func(s Stats) uint64 { return s.Malformed }, true},
		"a message without number":      {[]*chatpb.Frame{direct(text("a", 0, "x"))}, "", func(s Stats) uint64 { return s.Malformed }, true},
		"hello in the middle":           {[]*chatpb.Frame{frames[0]}, "", func(s Stats) uint64 { return s.Malformed }, true},
		"a mark without author in sync": {[]*chatpb.Frame{{Kind: &chatpb.Frame_Sync{Sync: &chatpb.Sync{Have: []*chatpb.Mark{{Seq: 1}}}}}}, "", func(s Stats) uint64 { return s.Malformed }, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := bare(t)
			n := newNetwork()
			ours, theirs := newPipes(n, "a", "b")
			s := &session{chat: c, conn: theirs, reader: &frameReader{conn: theirs}, member: c.meet(writer{"a", 1})}
			if err := s.hold(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- s.read() }()
			for _, f := range test.frames {
				if _, err := ours.Write(appendFrame(nil, f)); err != nil {
					t.Fatal(err)
				}
			}
			if !test.ends {
				_ = ours.Close()
			}
			select {
			case <-ended:
			case <-time.After(30 * time.Second):
				t.Fatal("the connection goes on")
			}
			s.release()
			if got := delivered(c); got != test.shown {
				t.Errorf("shown: %q, want %q", got, test.shown)
			}
			if test.count != nil && test.count(c.Stats()) != 1 {
				t.Errorf("not counted: %+v", c.Stats())
			}
		})
	}
}

// A relayed message may come only from the one who was asked, and up to where.
func TestPulledOnly(t *testing.T) {
	c := bare(t)
	on := func(name string) *session {
		return &session{chat: c, reader: new(frameReader), member: listed(c, name)}
	}
	a, b := on("a"), on("d")
	for _, s := range []*session{a, b} {
		if err := s.hold(); err != nil {
			t.Fatal(err)
		}
	}
	defer a.release()
	defer b.release()
	c.mu.Lock()
	c.takeSync(a, &chatpb.Sync{Have: []*chatpb.Mark{{Author: "c", Incarnation: 1, Seq: 2}}, Settled: true})
	c.mu.Unlock()
	if p, _, _ := a.collect(); len(p.frames) != 2 { // its own sync, as caller or not, and the pull
		for _, f := range p.frames {
			if pull := f.GetPull(); pull != nil && (len(pull.Ranges) != 1 || pull.Ranges[0].Last != 2) {
				t.Errorf("pull %v", pull)
			}
		}
	}
	relay := func(s *session, m *chatpb.Message) {
		c.mu.Lock()
		defer c.mu.Unlock()
		a, err := arrivalOf(m)
		if err != nil {
			t.Fatal(err)
		}
		s.takeAll([]incoming{{arrival: a, relayed: true}}, time.Now())
	}
	relay(b, text("c", 1, "of who was not asked"))
	relay(a, text("c", 3, "beyond what was asked"))
	relay(a, text("c", 1, "one"))
	relay(a, text("c", 2, "two"))
	if got := delivered(c); got != "one two" || c.Stats().Unasked != 2 {
		t.Errorf("%q, %+v", got, c.Stats())
	}
}

func TestHistoryDropsAClosedFront(t *testing.T) {
	h := newHistory()
	a, b := writer{"a", 1}, writer{"b", 1}
	for i := range uint64(3000) {
		h.add(&entry{by: a, seq: i + 1})
		h.add(&entry{by: b, seq: i + 1})
	}
	for range 4001 {
		h.drop()
	}
	if h.have(a) != 3000 || h.floors()[a] != 2001 || h.floors()[b] != 2000 || h.len() != 1999 {
		t.Errorf("have %d, floors %v, kept %d", h.have(a), h.floors(), h.len())
	}
	if got := h.get(a, 1, 2003); len(got) != 2 || got[0].seq != 2002 {
		t.Errorf("got %d messages", len(got))
	}
	h.skip(b, 5000)
	if h.have(b) != 5000 || h.get(b, 1, 9999) != nil || !h.past(b, 4000) {
		t.Error("skip")
	}
	for h.oldest() != nil {
		h.drop()
	}
	if h.bytes != 0 || h.floors()[a] != 3000 || h.floors()[b] != 5000 {
		t.Errorf("%d bytes left, floors %v", h.bytes, h.floors())
	}
}

// What was known from the state directory, and went on since, is not taken back
// by a word that was on its way meanwhile.
func TestHistoryGoesOnAfterARestart(t *testing.T) {
	h := newHistory()
	a := writer{"a", 1}
	h.skip(a, 500)
	h.add(&entry{by: a, seq: 501})
	if h.wrote(a, 500) || h.have(a) != 501 {
		t.Errorf("up to %d", h.have(a))
	}
	h.skip(a, 600)
	if !h.wrote(a, 599) || h.have(a) != 501 {
		t.Errorf("up to %d", h.have(a))
	}
}

// Past lives of which nothing is kept are forgotten when there are many, and
// what comes of them later is not taken for news.
func TestHistoryForgetsPastLives(t *testing.T) {
	h := newHistory()
	for i := range uint64(2000) {
		h.add(&entry{by: writer{"a", i + 1}, seq: 1})
	}
	for h.len() > 10 {
		h.drop()
	}
	h.forget()
	if len(h.tracks) != 10 || !h.past(writer{"a", 5}, 7) || h.past(writer{"a", 2001}, 1) {
		t.Errorf("%d lives are told apart", len(h.tracks))
	}
}

func TestHoldbackIsBounded(t *testing.T) {
	var b holdback
	for i := range uint64(2 * maxHeld) {
		b.add(&entry{by: writer{"a", 1}, seq: i + 2})
	}
	if b.count != maxHeld {
		t.Errorf("%d held", b.count)
	}
	for i := range uint64(maxHeld) {
		b.remove(b.of[writer{"a", 1}][i+2])
	}
	if b.count != 0 || b.bytes != 0 || len(b.of) != 0 {
		t.Errorf("%d, %d bytes left", b.count, b.bytes)
	}
}
