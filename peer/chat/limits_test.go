package chat_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/peer/chat"
)

func TestRateLimit(t *testing.T) {
	a, b := joinWith(t, "a", 1, chat.Options{Limits: chat.Limits{Rate: 5}}), join(t, "b", 1)
	meet(a, b)
	var err error
	sent := 0
	for ; err == nil && sent < 100; sent++ {
		_, err = a.Send(t.Context(), "hello")
	}
	if err == nil || !strings.Contains(err.Error(), "the limit is 5 a second") || sent < 6 {
		t.Fatalf("after %d messages: %v", sent, err)
	}
	if got := len(b.await(sent - 1)); got != sent-1 {
		t.Errorf("b shows %d messages of %d", got, sent-1)
	}
	if _, err := b.SendAndWait(wait(t), "b is not limited"); err != nil {
		t.Error(err)
	}
}

func TestLimitsCheck(t *testing.T) {
	for _, l := range []chat.Limits{{Rate: -1}, {History: -1}, {Horizon: -1}, {HorizonBytes: -1}, {Horizon: 15}} {
		if l.Check() == nil {
			t.Errorf("%+v passes", l)
		}
	}
	if err := (chat.Limits{}).Check(); err != nil {
		t.Error(err)
	}
}

// slowConn reads as much a second as it is allowed to.
type slowConn struct {
	net.Conn
	slow *atomic.Bool
}

func (c slowConn) Read(b []byte) (int, error) {
	if c.slow.Load() {
		time.Sleep(time.Millisecond)
		b = b[:min(len(b), 4<<10)]
	}
	return c.Conn.Read(b)
}

type slowListener struct {
	net.Listener
	slow atomic.Bool
}

func (l *slowListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return slowConn{c, &l.slow}, nil
}

// An author that is faster than one member for longer than the horizon waits
// for it rather than losing anything; for less than that, nobody waits.
func TestASlowMemberLosesNothing(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &slowListener{Listener: inner}
	log := event.NewLog("slow", 10_000)
	slow := chat.Join(chat.Options{Name: "slow", Incarnation: 1, Listener: l, Events: log})
	defer slow.Leave(t.Context())
	limits := chat.Limits{History: 10, Horizon: 200}
	a, fast := joinWith(t, "a", 1, chat.Options{Limits: limits}), joinWith(t, "fast", 1, chat.Options{Limits: limits})
	all := []chat.Presence{a.here, fast.here, {Name: "slow", Addr: inner.Addr().String(), Incarnation: 1}}
	a.Update(all)
	fast.Update(all)
	slow.Update(all)
	if d, err := a.SendAndWait(wait(t), "begin"); err != nil || len(d.Acked) != 2 {
		t.Fatalf("%+v, %v", d, err)
	}
	l.slow.Store(true)
	text := strings.Repeat("x", 8<<10)

	// Fewer than the horizon: who keeps up has them at once.
	start := time.Now()
	for i := range 100 {
		if _, err := a.Send(wait(t), fmt.Sprint(i, text)); err != nil {
			t.Fatal(err)
		}
	}
	fast.await(101)
	t.Logf("the fast one has 101 messages after %s, the slow one %d", time.Since(start), slow.Stats().Delivered)

	for i := range 1000 {
		if _, err := a.Send(wait(t), fmt.Sprint(i, text)); err != nil {
			t.Fatal(err)
		}
	}
	d, err := a.SendAndWait(wait(t), "end")
	if err != nil || len(d.Acked) != 2 {
		t.Fatalf("%+v, %v", d.Missing, err)
	}
	if s := slow.Stats(); s.Delivered != 1102 || s.Skipped != 0 {
		t.Errorf("the slow one has %d messages, %d are lost", s.Delivered, s.Skipped)
	}
	if s := a.Stats(); s.Truncated != 0 || s.Kept > 200 {
		t.Errorf("a keeps %d, dropped %d that a member lacked", s.Kept, s.Truncated)
	}
}

// A member that is away for longer than the horizon misses the older messages,
// and only those.
func TestBeyondTheHorizon(t *testing.T) {
	limits := chat.Limits{History: 10, Horizon: 100}
	a, b, c := joinWith(t, "a", 1, chat.Options{Limits: limits, SyncEvery: 100 * time.Millisecond}),
		joinWith(t, "b", 1, chat.Options{Limits: limits, SyncEvery: 100 * time.Millisecond}),
		joinWith(t, "c", 1, chat.Options{Limits: limits, SyncEvery: 100 * time.Millisecond})
	meet(a, b, c)
	if d, err := a.SendAndWait(wait(t), "begin"); err != nil || len(d.Acked) != 2 {
		t.Fatalf("%+v, %v", d, err)
	}
	c.cut.Store(true)
	a.Update([]chat.Presence{b.here})
	b.Update([]chat.Presence{a.here})
	c.Update(nil)
	for i := range 500 {
		if _, err := a.Send(wait(t), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.await(501); got[500] != "499" {
		t.Fatalf("b shows %q last", got[500])
	}
	c.cut.Store(false)
	meet(a, b, c)
	got := c.until(func(texts []string) bool { return len(texts) > 0 && texts[len(texts)-1] == "499" })
	if s := c.Stats(); int(s.Skipped) != 501-len(got) || len(got) < 90 || len(got) > 110 {
		t.Errorf("c shows %d messages, %d are skipped", len(got), s.Skipped)
	}
	told := uint64(0)
	events, _ := c.events.Since(0)
	for _, e := range events {
		if e.Kind == event.ChatSkipped {
			told += e.Messages
		}
	}
	if s := c.Stats(); told != s.Skipped {
		t.Errorf("%d messages are skipped, the events tell of %d", s.Skipped, told)
	}
	for i, text := range got[1:] {
		if text != fmt.Sprint(500-len(got)+1+i) {
			t.Fatalf("c shows %q as number %d of %d", text, i, len(got))
		}
	}
	if d, err := c.SendAndWait(wait(t), "c is back"); err != nil || len(d.Acked) != 2 {
		t.Errorf("%+v, %v", d, err)
	}
}

// Nobody waits for a member that takes nothing at all.
func TestAStalledMemberHoldsNobodyUp(t *testing.T) {
	limits := chat.Limits{History: 10, Horizon: 100}
	a, b, c := joinWith(t, "a", 1, chat.Options{Limits: limits}), joinWith(t, "b", 1, chat.Options{Limits: limits}), join(t, "c", 1)
	meet(a, b, c)
	if d, err := a.SendAndWait(wait(t), "begin"); err != nil || len(d.Acked) != 2 {
		t.Fatalf("%+v, %v", d, err)
	}
	a.Update([]chat.Presence{b.here, {Name: "c", Addr: "127.0.0.1:1", Incarnation: 1}})
	for i := range 1000 {
		if _, err := a.Send(wait(t), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	b.await(1001)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Send(ctx, "at once"); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Each coming and going is shown once: joined, gone and back, left.
func TestComingsAndGoings(t *testing.T) {
	a := join(t, "a", 1)
	b := chat.Presence{Name: "b", Addr: "127.0.0.1:1", Incarnation: 1}
	b2 := chat.Presence{Name: "b", Addr: "127.0.0.1:1", Incarnation: 2}
	for _, view := range [][]chat.Presence{
		{b}, {b}, // joined
		{}, {}, {{Name: "b"}}, // gone
		{b}, {b}, // back
		{{Name: "b", Graceful: true}}, {{Name: "b", Graceful: true}}, {}, // left
		{b},  // joined
		{b2}, // restarted, unnoticed
		{b2},
	} {
		a.Update(view)
	}
	var got []string
	events, _ := a.events.Since(0)
	for _, e := range events {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %d %s", e.Kind, e.Life, e.Reason)))
	}
	want := []string{
		"chat.start 1", "chat.join 1", "chat.leave 0 gone", "chat.join 1", "chat.leave 0 leave", "chat.join 1", "chat.leave 0 leave", "chat.join 2",
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("shown: %s", strings.Join(got, ", "))
	}
}
