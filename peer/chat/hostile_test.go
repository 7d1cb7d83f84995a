package chat

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"peerlab/event"
	"peerlab/peer/chat/chatpb"
)

// hostile is a member of whom nothing but its hello is true. It takes part in
// membership, calls the others, and answers what they ask with what it likes.
type hostile struct {
	net   *network
	host  *host
	lies  []*chatpb.Sync // its answers to syncs, in turn
	forge bool           // it serves what it is asked for: in others' name, and false

	mu      sync.Mutex
	running sync.WaitGroup
	calls   map[string]net.Conn
	next    int
}

const hostileName = "m"

func newHostile(n *network) *hostile {
	h := &hostile{net: n, host: n.listen(hostileName), calls: make(map[string]net.Conn)}
	h.running.Go(func() {
		for {
			conn, err := h.host.Accept()
			if err != nil {
				return
			}
			h.running.Go(func() { h.answer(conn) })
		}
	})
	return h
}

func hostileHello(to string) *chatpb.Frame {
	return &chatpb.Frame{Kind: &chatpb.Frame_Hello{Hello: &chatpb.Hello{From: hostileName, To: to, Incarnation: 1}}}
}

// answer says hello to who called.
func (h *hostile) answer(conn net.Conn) {
	defer conn.Close()
	r := &frameReader{conn: conn}
	f, err := r.one()
	if err != nil {
		return
	}
	_, _ = conn.Write(appendFrame(nil, hostileHello(f.GetHello().GetFrom())))
	h.listen(conn, r)
}

// listen answers until the connection ends.
func (h *hostile) listen(conn net.Conn, r *frameReader) {
	for {
		f, err := r.one()
		if err != nil {
			return
		}
		var b []byte
		switch {
		case f.GetSync().GetAnswer():
			h.mu.Lock()
			if len(h.lies) > 0 {
				b = appendFrame(nil, &chatpb.Frame{Kind: &chatpb.Frame_Sync{Sync: h.lies[h.next%len(h.lies)]}})
				h.next++
			}
			h.mu.Unlock()
		case f.GetPull() != nil && h.forge:
			for _, r := range f.GetPull().GetRanges() {
				if strings.HasPrefix(r.GetAuthor(), "nobody-") {
					continue // a flood of more than a horizon pushes others' messages out
				}
				for seq := r.GetFirst(); seq <= r.GetLast() && seq < r.GetFirst()+5; seq++ {
					b = appendFrame(b, relayedBy(&chatpb.Message{Author: r.GetAuthor(), Incarnation: r.GetIncarnation(), Seq: seq, Text: "forged"}))
				}
			}
		case f.GetPing() != nil:
			b = appendFrame(nil, &chatpb.Frame{Kind: &chatpb.Frame_Pong{Pong: &chatpb.Pong{Id: f.GetPing().GetId()}}})
		}
		if _, err := conn.Write(b); err != nil {
			return
		}
	}
}

// say sends a frame to somebody, on a connection that is opened if need be.
func (h *hostile) say(to string, f *chatpb.Frame) {
	conn := h.calls[to]
	for range 2 { // the last frame may have ended the connection
		if conn == nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			var err error
			if conn, err = h.net.dial(ctx, hostileName, to); err != nil {
				return
			}
			h.calls[to] = conn
			_, _ = conn.Write(appendFrame(nil, hostileHello(to)))
			r := &frameReader{conn: conn}
			if _, err := r.one(); err != nil {
				return
			}
			h.running.Go(func() { h.listen(conn, r) })
		}
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := conn.Write(appendFrame(nil, f)); err == nil {
			return
		}
		_ = conn.Close()
		conn = nil
	}
}

func (h *hostile) end() {
	h.host.vanish()
	for _, conn := range h.calls {
		_ = conn.Close()
	}
	h.running.Wait()
}

// What a hostile peer may say.

var honest = []string{"a", "b", "c", "d"}

func drawMarks(t *rapid.T, label string) []*chatpb.Mark {
	v := make(vector)
	for range rapid.IntRange(0, 4).Draw(t, label) {
		name := rapid.SampledFrom(append([]string{hostileName, "invented"}, honest...)).Draw(t, "of")
		life := rapid.SampledFrom([]uint64{1, 1, 1, 2, huge}).Draw(t, "life")
		v[writer{name, life}] = rapid.SampledFrom([]uint64{1, 2, 5, 20, DefaultHorizon, maxSeq, middle, huge}).Draw(t, "number")
	}
	return v.marks()
}

func drawSync(t *rapid.T) *chatpb.Sync {
	f := &chatpb.Sync{
		Have: drawMarks(t, "have"), Since: drawMarks(t, "since"), Present: drawMarks(t, "present"),
		Settled: rapid.Bool().Draw(t, "settled"), Answer: rapid.Bool().Draw(t, "answer"),
	}
	if f.Floor = f.Have; rapid.Bool().Draw(t, "other floors") {
		f.Floor = drawMarks(t, "floor")
	}
	if rapid.IntRange(0, 49).Draw(t, "crowd") == 0 {
		for i := range maxMarks - len(f.Have) {
			f.Have = append(f.Have, &chatpb.Mark{Author: fmt.Sprint("nobody-", i), Incarnation: 1, Seq: 1})
		}
	}
	return f
}

func drawFrame(t *rapid.T) *chatpb.Frame {
	message := func(author string) *chatpb.Message {
		return &chatpb.Message{
			Author: author, Incarnation: 1, Seq: rapid.SampledFrom([]uint64{1, 2, 3, 4, 7, middle, huge}).Draw(t, "seq"),
			Text: "of a hostile peer", Causes: drawMarks(t, "causes"),
		}
	}
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0, 1, 2:
		return &chatpb.Frame{Kind: &chatpb.Frame_Sync{Sync: drawSync(t)}}
	case 3, 4:
		return pushed(message(hostileName))
	case 5:
		return relayedBy(message(rapid.SampledFrom(honest).Draw(t, "forged")))
	case 6:
		return &chatpb.Frame{Kind: &chatpb.Frame_Ack{Ack: &chatpb.Ack{Seq: huge}}}
	}
	var ranges []*chatpb.Range
	for _, name := range honest {
		ranges = append(ranges, &chatpb.Range{Author: name, Incarnation: 1, First: rapid.SampledFrom([]uint64{0, 1, huge}).Draw(t, "first"), Last: huge})
	}
	return &chatpb.Frame{Kind: &chatpb.Frame_Pull{Pull: &chatpb.Pull{Ranges: ranges}}}
}

// deed is what happens in a schedule with a hostile peer.
type deed struct {
	says  string // who says something, if anybody
	to    string // whom the hostile one tells frame
	frame *chatpb.Frame
	cut   [2]string // who are cut from each other for a while
	pause time.Duration
}

func (d deed) String() string {
	switch {
	case d.says != "":
		return d.says + " speaks"
	case d.to != "":
		return fmt.Sprintf("to %s: %.300s", d.to, d.frame)
	case d.cut[0] != "":
		return fmt.Sprint("cut ", d.cut)
	}
	return fmt.Sprint("pause ", d.pause)
}

// Whatever one member does, the others deliver everything among themselves, once
// and in order.
func TestOneHostileMemberStopsNobody(t *testing.T) {
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		tries := *schedules / 5
		if raced {
			tries /= 5
		}
		if err := checks.Value.Set(fmt.Sprint(max(1, tries))); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		// Who cannot be asked what it wrote can be impersonated: messages are not
		// signed. So either links are cut or messages are forged.
		forge := rapid.Bool().Draw(rt, "forge")
		var deeds []deed
		for range rapid.IntRange(1, 25).Draw(rt, "deeds") {
			d := deed{pause: time.Duration(rapid.IntRange(0, 3000).Draw(rt, "pause")) * time.Millisecond}
			switch n := rapid.IntRange(0, 9).Draw(rt, "deed"); {
			case n < 4:
				d.says = rapid.SampledFrom(honest).Draw(rt, "author")
			case n < 9:
				d.to, d.frame = rapid.SampledFrom(honest).Draw(rt, "to"), drawFrame(rt)
				if !forge && d.frame.GetRelayed() != nil {
					d.frame = &chatpb.Frame{Kind: &chatpb.Frame_Sync{Sync: drawSync(rt)}}
				}
			case !forge:
				d.cut = [2]string{rapid.SampledFrom(honest).Draw(rt, "one"), rapid.SampledFrom(honest).Draw(rt, "other")}
			}
			deeds = append(deeds, d)
		}
		var lies []*chatpb.Sync
		for range rapid.IntRange(0, 3).Draw(rt, "lies") {
			lies = append(lies, drawSync(rt))
		}
		var broken []string
		synctest.Test(t, func(t *testing.T) { broken = withHostile(t, deeds, lies, forge) })
		if len(broken) > 0 {
			rt.Fatalf("%s\nforge %v, lies %v\n%s", strings.Join(broken, "\n"), forge, lies, fmt.Sprintln(deeds))
		}
	})
}

// withHostile runs a schedule and returns what the others did not deliver.
func withHostile(t *testing.T, deeds []deed, lies []*chatpb.Sync, forge bool) (broken []string) {
	n := newNetwork()
	h := newHostile(n)
	h.lies, h.forge = lies, forge
	chats := make(map[string]*Chat)
	all := []Presence{{Name: hostileName, Addr: hostileName, Incarnation: 1}}
	for _, name := range honest {
		chats[name] = Join(Options{
			Name: name, Incarnation: 1, Listener: n.listen(name), Events: event.NewLog(name, 1_000_000),
			Dial: func(ctx context.Context, addr string) (net.Conn, error) { return n.dial(ctx, name, addr) },
		})
		all = append(all, Presence{Name: name, Addr: name, Incarnation: 1})
	}
	for _, c := range chats {
		c.Update(all)
	}
	said := make(map[string][]string)
	speak := func(name string) {
		text := fmt.Sprintf("%s says %d", name, len(said[name]))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := chats[name].Send(ctx, text); err != nil {
			broken = append(broken, fmt.Sprintf("%s cannot send: %v", name, err))
			return
		}
		said[name] = append(said[name], text)
	}
	for _, d := range deeds {
		switch {
		case d.says != "":
			speak(d.says)
		case d.to != "":
			h.say(d.to, d.frame)
		case d.cut[0] != d.cut[1]:
			n.set(d.cut[0], d.cut[1], true)
			n.set(d.cut[1], d.cut[0], true)
		}
		time.Sleep(d.pause)
	}
	for _, x := range honest {
		for _, y := range honest {
			n.set(x, y, false)
		}
		speak(x)
	}
	time.Sleep(3 * causeTimeout) // for what waits for what waits
	for _, reader := range honest {
		c := chats[reader]
		got := make(map[string][]string)
		events, _ := c.Events.Since(0)
		for _, e := range events {
			switch {
			case e.Kind == event.ChatDelivered && strings.HasPrefix(e.Message, e.Member+"/1/"): // another life is not one's own word
				got[e.Member] = append(got[e.Member], e.Text)
			case e.Kind == event.ChatSkipped && slices.Contains(honest, e.Member) && strings.Contains(e.Message, "/1/"):
				broken = append(broken, fmt.Sprintf("%s gave up %d messages of %s", reader, e.Messages, e.Member))
			}
		}
		for _, author := range honest {
			if want := said[author]; author != reader && !slices.Equal(got[author], want) {
				broken = append(broken, fmt.Sprintf("%s shows %q of %s, which said %q", reader, got[author], author, want))
			}
		}
	}
	for name, c := range chats {
		if c.mu.Lock(); len(broken) > 0 {
			broken = append(broken, fmt.Sprintf("%s: settled %v, begins after %v, has %v, lost %v, held %v, %+v", name, c.settled, c.begin, c.history.haves(), c.lost, c.held.of, c.stats.Stats))
		}
		c.mu.Unlock()
	}
	h.end()
	for name, c := range chats {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New(name + " leaves"))
		c.Leave(ctx)
	}
	return broken
}
