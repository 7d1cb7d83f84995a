package membership_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/peer/membership"
	"peerlab/peer/membership/memberlistconfig"
)

// inbox is a channel that sends what it is told, once, and keeps what it gets.
type inbox struct {
	state string

	mu     sync.Mutex
	send   []string
	got    []string
	merged []string
	news   chan struct{} // closed at the next thing got
}

func newInbox(state string) *inbox { return &inbox{state: state, news: make(chan struct{})} }

func (b *inbox) Broadcasts(overhead, limit int) [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out [][]byte
	for len(b.send) > 0 && overhead+len(b.send[0]) <= limit {
		limit -= overhead + len(b.send[0])
		out = append(out, []byte(b.send[0]))
		b.send = b.send[1:]
	}
	return out
}

func (b *inbox) say(msg string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.send = append(b.send, msg)
}

func (b *inbox) take(list *[]string, msg []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*list = append(*list, string(msg))
	close(b.news)
	b.news = make(chan struct{})
}

func (b *inbox) Receive(msg []byte) { b.take(&b.got, msg) }

func (b *inbox) State(bool) []byte {
	if b.state == "" {
		return nil
	}
	return []byte(b.state)
}

func (b *inbox) Merge(state []byte, _ bool) { b.take(&b.merged, state) }

func (b *inbox) await(t *testing.T, list *[]string, want string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		b.mu.Lock()
		got, news := *list, b.news
		b.mu.Unlock()
		for _, g := range got {
			if g == want {
				return
			}
		}
		select {
		case <-news:
		case <-deadline:
			t.Fatalf("got %d, never %.50q", len(got), want)
		}
	}
}

func startChannels(t *testing.T, name string, channels map[byte]membership.Channel, settings ...string) *membership.Membership {
	t.Helper()
	conf, err := memberlistconfig.Configure("local", append(fast[:len(fast):len(fast)], settings...))
	if err != nil {
		t.Fatal(err)
	}
	m, err := membership.Create(membership.Options{
		Name: name, Config: conf, Bind: "127.0.0.1:0", Events: event.NewLog(name, 100), Channels: channels,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Shutdown(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func TestChannelsShareTheDelegate(t *testing.T) {
	a1, a2, b1, b2, b3 := newInbox("a1's"), newInbox(""), newInbox("b1's"), newInbox("b2's"), newInbox("b3's")
	// No push/pull but the join: its states count as dropped too.
	a := startChannels(t, "a", map[byte]membership.Channel{1: a1, 2: a2}, "PushPullInterval=0s")
	b := startChannels(t, "b", map[byte]membership.Channel{1: b1, 2: b2, 3: b3}, "PushPullInterval=0s")
	if _, err := b.Join(t.Context(), []string{a.Addr()}); err != nil {
		t.Fatal(err)
	}
	b1.await(t, &b1.merged, "a1's")
	a1.await(t, &a1.merged, "b1's")
	a2.await(t, &a2.merged, "b2's")

	a1.say("to one")
	a2.say("to two")
	a2.say("") // a message may be empty
	b1.await(t, &b1.got, "to one")
	b2.await(t, &b2.got, "to two")
	b2.await(t, &b2.got, "")

	// a has no channel 3: message and state are dropped and counted. Counting
	// is no event, and the queue has no order: look until it shows.
	dropped := func(more uint64) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for a.Dropped() < more {
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatalf("%d dropped messages and states are counted, want %d", a.Dropped(), more)
			}
		}
	}
	dropped(1)
	before := a.Dropped()
	b3.say("to nobody")
	dropped(before + 1)
	b1.mu.Lock()
	defer b1.mu.Unlock()
	for _, s := range b1.merged {
		if s != "a1's" {
			t.Errorf("channel 1 got the state %q", s)
		}
	}
}

func TestSendTo(t *testing.T) {
	in := newInbox("")
	a := startChannels(t, "alice", nil)
	b := startChannels(t, "bob", map[byte]membership.Channel{9: in})
	// Who joins has merged the other's state when Join returns.
	if _, err := a.Join(t.Context(), []string{b.Addr()}); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 1<<20)
	if err := a.SendTo(t.Context(), "bob", 9, []byte(long)); err != nil {
		t.Fatal(err)
	}
	in.await(t, &in.got, long)
	if err := b.SendTo(t.Context(), "bob", 9, []byte("to myself")); err != nil {
		t.Fatal(err)
	}
	in.await(t, &in.got, "to myself")

	for _, tc := range []struct {
		to   string
		msg  []byte
		want string
	}{
		{"bbo", nil, "did you mean bob?"},
		{"somebody", nil, `no member "somebody" is online`},
		{"bob", bytes.Repeat([]byte{1}, membership.MaxMessage+1), "the limit is 16777216"},
	} {
		if err := a.SendTo(t.Context(), tc.to, 9, tc.msg); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v, want %q", err, tc.want)
		}
	}
	_ = a.Shutdown()
	if err := a.SendTo(t.Context(), "bob", 9, nil); err == nil || !strings.Contains(err.Error(), "shut down") {
		t.Errorf("error %v after the shutdown", err)
	}
}

// SendTo returns with its context, though memberlist's write would wait for a
// reader; the write itself ends with Shutdown, which goleak checks.
func TestSendToEndsWithItsContext(t *testing.T) {
	a := start(t, "a", "ProbeInterval=1h", "EnableCompression=false", "TCPTimeout=1h")
	b := startAt(t, "b", "127.0.0.1:0", "ProbeInterval=1h")
	b.join(t, a)
	a.awaitKind(t, event.MemberJoin, "b")
	addr := b.Addr()
	_ = b.Shutdown()
	deaf, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skipf("the port is taken: %v", err)
	}
	defer deaf.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := a.SendTo(ctx, "b", 1, make([]byte, membership.MaxMessage)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestNilChannelIsRefused(t *testing.T) {
	conf, err := memberlistconfig.Configure("local", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = membership.Create(membership.Options{
		Name: "x", Config: conf, Bind: "127.0.0.1:0", Events: event.NewLog("x", 1), Channels: map[byte]membership.Channel{7: nil},
	})
	if err == nil || !strings.Contains(err.Error(), "channel 7 is nil") {
		t.Errorf("error %v", err)
	}
}
