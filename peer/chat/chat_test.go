package chat_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"peerlab/event"
	"peerlab/peer/chat"
)

func TestMain(m *testing.M) {
	if state := os.Getenv(authorState); state != "" {
		author(state)
	}
	goleak.VerifyTestMain(m)
}

// room is a chat under test.
type room struct {
	*chat.Chat
	t      *testing.T
	events *event.Log
	here   chat.Presence
	cut    atomic.Bool // dials fail while set
}

func join(t *testing.T, name string, incarnation uint64) *room {
	t.Helper()
	return joinWith(t, name, incarnation, chat.Options{})
}

// joinWith joins with options that say nothing of the network.
func joinWith(t *testing.T, name string, incarnation uint64, o chat.Options) *room {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &room{t: t, events: event.NewLog(name, 100_000)}
	o.Name, o.Incarnation, o.Listener, o.Events = name, incarnation, l, r.events
	o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
		if r.cut.Load() {
			return nil, errors.New("cut")
		}
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	r.Chat = chat.Join(o)
	addr, own, _ := chat.Announced(r.Announcement(l.Addr().String()))
	r.here = chat.Presence{Name: name, Addr: addr, Incarnation: own}
	t.Cleanup(func() { r.leave() })
	return r
}

func (r *room) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	r.Leave(ctx)
}

func meet(rooms ...*room) {
	var all []chat.Presence
	for _, r := range rooms {
		all = append(all, r.here)
	}
	for _, r := range rooms {
		r.Update(all)
	}
}

// await returns the texts delivered, in order, once there are n of them.
func (r *room) await(n int) []string {
	r.t.Helper()
	return r.until(func(texts []string) bool { return len(texts) >= n })
}

// until returns the texts delivered, in order, once enough says so.
func (r *room) until(enough func(texts []string) bool) []string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var texts []string
	for after := uint64(0); !enough(texts); {
		events, err := r.events.Read(ctx, after)
		if err != nil {
			r.t.Fatalf("%s has %d messages, %.100q", r.here.Name, len(texts), texts)
		}
		for _, e := range events {
			if after = e.Seq; e.Kind == event.ChatDelivered {
				texts = append(texts, e.Text)
			}
		}
	}
	return texts
}

func wait(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestEveryoneGetsEverythingOnceInOrder(t *testing.T) {
	a, b, c := join(t, "a", 1), join(t, "b", 1), join(t, "c", 1)
	meet(a, b, c)
	for i := range 500 {
		if _, err := a.Send(t.Context(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	d, err := a.SendAndWait(wait(t), "last")
	if err != nil || len(d.Acked) != 2 || len(d.Missing) != 0 {
		t.Fatalf("delivery %+v, %v", d, err)
	}
	for _, r := range []*room{b, c} {
		got := r.await(501)
		for i, text := range got[:500] {
			if text != fmt.Sprint(i) {
				t.Fatalf("%s got %q as number %d", r.here.Name, text, i)
			}
		}
	}
}

func TestMessagesWaitForTheMember(t *testing.T) {
	a, b := join(t, "a", 1), join(t, "b", 1)
	meet(a, b)
	a.cut.Store(true)
	if _, err := a.Send(t.Context(), "while cut off"); err != nil {
		t.Fatal(err)
	}
	// b is held dead, then found again: the same life of b gets it.
	a.Update([]chat.Presence{})
	if e := lastEvent(a); e.Kind != event.ChatLeave || e.Reason != "gone" {
		t.Errorf("%+v", e)
	}
	a.cut.Store(false)
	meet(a, b)
	if got := b.await(1); got[0] != "while cut off" {
		t.Errorf("b got %q", got)
	}
}

func TestNewLifeGetsNothingOld(t *testing.T) {
	a, b := join(t, "a", 1), join(t, "b", 1)
	meet(a, b)
	a.cut.Store(true)
	if _, err := a.Send(t.Context(), "for the first life"); err != nil {
		t.Fatal(err)
	}
	b.leave()
	b2 := join(t, "b", 2)
	meet(a, b2)
	a.cut.Store(false)
	if _, err := a.SendAndWait(wait(t), "for the second life"); err != nil {
		t.Fatal(err)
	}
	if got := b2.await(1); got[0] != "for the second life" {
		t.Errorf("b got %q", got)
	}
}

// The author dies, and who has its message had it before it heard of the
// newcomer, whom only the author knew.
func TestNewcomerGetsWhatADeadAuthorMeantForIt(t *testing.T) {
	a, b, c := join(t, "a", 1), join(t, "b", 1), join(t, "c", 1)
	meet(a, b)
	if _, err := a.SendAndWait(wait(t), "before c came"); err != nil {
		t.Fatal(err)
	}
	a.Update([]chat.Presence{b.here, {Name: "c", Addr: "127.0.0.1:1", Incarnation: 1}})
	for _, text := range []string{"to all three", "to all three again"} {
		if _, err := a.Send(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	b.await(3)
	a.leave()
	meet(b, c)
	if got := strings.Join(c.await(2), ", "); got != "to all three, to all three again" {
		t.Errorf("c got %q", got)
	}
}

func TestNewLifeOfTheAuthorIsNotTakenForTheOld(t *testing.T) {
	a, b := join(t, "a", 1), join(t, "b", 1)
	meet(a, b)
	if _, err := a.SendAndWait(wait(t), "one"); err != nil {
		t.Fatal(err)
	}
	a.leave()
	a2 := join(t, "a", 2)
	meet(a2, b)
	if _, err := a2.SendAndWait(wait(t), "two"); err != nil {
		t.Fatal(err)
	}
	if got := b.await(2); got[1] != "two" {
		t.Errorf("b got %q", got)
	}
}

func TestWaitTellsWhoIsMissing(t *testing.T) {
	a, b, c := join(t, "a", 1), join(t, "b", 1), join(t, "c", 1)
	meet(a, b, c)
	c.leave() // without a word to a
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	d, err := a.SendAndWait(ctx, "hello")
	if err != nil || len(d.Acked) != 1 || len(d.Missing) != 1 || d.Missing[0] != "c" {
		t.Errorf("delivery %+v, %v", d, err)
	}
}

func TestPing(t *testing.T) {
	a, b := join(t, "a", 1), join(t, "b", 1)
	meet(a, b)
	if rtt, err := a.Ping(wait(t), "b"); err != nil || rtt <= 0 {
		t.Errorf("rtt %v, %v", rtt, err)
	}
	if _, err := a.Ping(wait(t), "nobody"); err == nil || !strings.Contains(err.Error(), "not in the chat") {
		t.Errorf("error %v", err)
	}
	// An address that is another peer's now is not answered.
	a.Update([]chat.Presence{{Name: "x", Addr: b.here.Addr, Incarnation: 1}})
	if _, err := a.Ping(wait(t), "x"); err == nil {
		t.Error("b answered for x")
	}
}

func TestAfterLeave(t *testing.T) {
	a := join(t, "a", 1)
	a.leave()
	if _, err := a.Send(t.Context(), "hello"); err == nil {
		t.Error("sent after leaving")
	}
	a.Update([]chat.Presence{{Name: "b", Addr: "127.0.0.1:1", Incarnation: 1}})
	if len(a.Members()) != 0 {
		t.Error("members after leaving")
	}
}

func TestCheckText(t *testing.T) {
	for text, ok := range map[string]bool{
		"hello": true, "": false, "  ": false, "\xff": false,
		strings.Repeat("x", chat.MaxText): true, strings.Repeat("x", chat.MaxText+1): false,
	} {
		if err := chat.CheckText(text); (err == nil) != ok {
			t.Errorf("CheckText(%.10q, %d bytes) = %v", text, len(text), err)
		}
	}
}

// A text in which JSON takes six bytes for one still passes at the limit.
func TestLargestText(t *testing.T) {
	a, b := join(t, "a", 1), join(t, "b", 1)
	meet(a, b)
	text := strings.Repeat("\x01", chat.MaxText)
	if d, err := a.SendAndWait(wait(t), text); err != nil || len(d.Acked) != 1 {
		t.Fatalf("%+v, %v", d.Missing, err)
	}
	if b.await(1)[0] != text {
		t.Error("the text arrived changed")
	}
}

func TestRubbishOnTheListener(t *testing.T) {
	a, b := join(t, "a", 1), join(t, "b", 1)
	meet(a, b)
	for _, rubbish := range []string{
		"GET / HTTP/1.1\r\n\r\n", "\x00\x00\x00\x02{}", "\xff\xff\xff\xff", "\x00\x00\x00\x05hello", strings.Repeat("\x00", 1000),
	} {
		conn, err := net.Dial("tcp", b.here.Addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(rubbish)); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%q was answered", rubbish)
		}
		_ = conn.Close()
	}
	if d, err := a.SendAndWait(wait(t), "still here"); err != nil || len(d.Acked) != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	if n := len(b.await(1)); n != 1 {
		t.Errorf("b shows %d messages", n)
	}
}

func TestAnnounce(t *testing.T) {
	if addr, inc, ok := chat.Announced(chat.Announce(":7947", 12)); addr != ":7947" || inc != 12 || !ok {
		t.Errorf("%q %d %v", addr, inc, ok)
	}
	for _, s := range []string{"", "/", ":7947", ":7947/", "/1", ":7947/x", ":7947/-1", ":7947/0"} {
		if _, _, ok := chat.Announced(s); ok {
			t.Errorf("%q is taken for an announcement", s)
		}
	}
}

func lastEvent(r *room) event.Event {
	events, _ := r.events.Since(0)
	return events[len(events)-1]
}
