package membership_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/event"
	"peerlab/peer/membership"
	"peerlab/peer/membership/memberlistconfig"
)

// Every method may be called while any other runs: the race detector looks on
// while all of them run many times at once, and at the end beside Leave and
// Shutdown. What memberlist itself does not allow at once is in
// docs/memberlist.md.
func TestAllMethodsAtOnce(t *testing.T) {
	in := newInbox("state")
	channels := map[byte]membership.Channel{9: in}
	a, b := startChannels(t, "a", channels, "ProbeInterval=20ms"), startChannels(t, "b", channels, "ProbeInterval=20ms")
	if _, err := b.Join(t.Context(), []string{a.Addr()}); err != nil {
		t.Fatal(err)
	}
	addr := b.Addr()
	// Errors are as may be: a peer that leaves or is shut down refuses.
	calls := map[string]func(ctx context.Context, i int){
		"Update": func(ctx context.Context, _ int) { _ = a.Update(ctx) },
		"SetMeta": func(ctx context.Context, i int) {
			_ = a.SetMeta(ctx, func(m membership.Meta) { m["n"] = fmt.Sprint(i) })
		},
		"Join":        func(ctx context.Context, _ int) { _, _ = a.Join(ctx, []string{addr}) },
		"Ping":        func(ctx context.Context, _ int) { _, _ = a.Ping(ctx, "b") },
		"Dial":        func(ctx context.Context, _ int) { _, _ = a.Dial(ctx, "b") },
		"SendTo":      func(ctx context.Context, _ int) { _ = a.SendTo(ctx, "b", 9, []byte("x")) },
		"TakenAt":     func(context.Context, int) { a.TakenAt() },
		"Missing":     func(context.Context, int) { a.Missing() },
		"Members":     func(context.Context, int) { a.Members() },
		"Online":      func(context.Context, int) { a.Online(); a.Marked() },
		"Addr":        func(context.Context, int) { a.Addr() },
		"Incarnation": func(context.Context, int) { a.Incarnation() },
		"Health":      func(context.Context, int) { a.Health() },
		"Meta":        func(context.Context, int) { a.Meta() },
		"RTT":         func(context.Context, int) { a.RTT("a", "b") },
		"Changed":     func(context.Context, int) { a.Changed() },
		"HasLeft":     func(context.Context, int) { a.HasLeft(); a.Dropped(); a.Refused(); a.Name() },
		"Config":      func(context.Context, int) { memberlistconfig.Encode(a.Config()) },
		"Keys":        func(context.Context, int) { a.Keys() },
		"InstallKey": func(_ context.Context, i int) {
			for _, m := range []*membership.Membership{a, b} {
				_, _ = m.InstallKey(strings.Repeat(string(rune('a'+i%5)), 16))
			}
		},
		"UseKey":    func(_ context.Context, i int) { _ = a.UseKey(strings.Repeat(string(rune('a'+i%5)), 16)) },
		"RemoveKey": func(_ context.Context, i int) { _ = a.RemoveKey(strings.Repeat(string(rune('a'+i%5)), 16)) },
	}
	// Each ends soon, whatever keys the two have at the moment.
	repeat := func(times int) *sync.WaitGroup {
		var running sync.WaitGroup
		for _, call := range calls {
			for range 2 {
				running.Go(func() {
					for i := range times {
						ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
						call(ctx, i)
						cancel()
					}
				})
			}
		}
		return &running
	}
	repeat(20).Wait()
	// Once more, while it leaves and is shut down.
	running := repeat(10)
	for range 2 {
		running.Go(func() { _ = a.Leave(t.Context()) })
		running.Go(func() { _ = a.Shutdown() })
	}
	running.Wait()
}

// mockPair makes two members on memberlist's network in memory that send
// nothing by themselves: what is queued stays queued.
func mockPair(t *testing.T) (a, b *membership.Membership) {
	t.Helper()
	var network memberlist.MockNetwork
	create := func(name string) *membership.Membership {
		conf, err := memberlistconfig.Configure("lan", []string{"GossipInterval=0", "ProbeInterval=0", "PushPullInterval=0"})
		if err != nil {
			t.Fatal(err)
		}
		m, err := membership.Create(membership.Options{
			Name: name, Config: conf, Transport: network.NewTransport(name), Events: event.NewLog(name, 100),
		})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	a, b = create("a"), create("b")
	if _, err := a.Join(t.Context(), []string{b.Addr()}); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// Updates asked for at the same time are told together, the first and one for
// all that follow, and each caller waits no longer than its context.
func TestUpdatesAreToldTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := mockPair(t)
		before, start := a.Incarnation(), time.Now()
		var callers sync.WaitGroup
		for i := range 20 {
			callers.Go(func() {
				// Nothing is sent here, hence memberlist gives up after a time.
				err := a.SetMeta(t.Context(), func(m membership.Meta) { m[fmt.Sprint(i)] = "x" })
				if err == nil || !strings.Contains(err.Error(), "still waits to be gossiped") {
					t.Errorf("error %v", err)
				}
			})
		}
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.Update(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want that of the context", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("a caller with a second's patience waited %s", took)
		}
		callers.Wait()
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("twenty updates took %s, want at most two one after the other", took)
		}
		if got := a.Incarnation() - before; got != 2 {
			t.Errorf("twenty updates at once made %d incarnations, want 2", got)
		}
		for _, m := range a.Members() {
			if m.Name == "a" && len(m.Meta) != 20 {
				t.Errorf("the last one tells %v", m.Meta)
			}
		}
		for _, m := range []*membership.Membership{a, b} {
			if err := m.Shutdown(); err != nil {
				t.Error(err)
			}
		}
	})
}

// Neither an update on its way nor those that wait for it hold up Shutdown,
// and neither does a farewell.
func TestShutdownDoesNotWaitForUpdates(t *testing.T) {
	for name, busy := range map[string]func(m *membership.Membership) error{
		"update": func(m *membership.Membership) error { return m.Update(context.Background()) },
		"leave":  func(m *membership.Membership) error { return m.Leave(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := mockPair(t)
				var callers sync.WaitGroup
				for range 5 {
					callers.Go(func() { _ = busy(a) })
				}
				synctest.Wait()
				start := time.Now()
				if err := a.Shutdown(); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("it took %s", took)
				}
				callers.Wait()
				// Afterwards everything says so at once.
				start = time.Now()
				for _, err := range []error{
					a.Update(t.Context()), a.Leave(t.Context()), a.SendTo(t.Context(), "b", 1, nil),
					func() error { _, err := a.Join(t.Context(), []string{b.Addr()}); return err }(),
					func() error { _, err := a.Ping(t.Context(), "b"); return err }(),
				} {
					if err == nil || !slices.ContainsFunc([]string{"shut down", "has left"}, func(s string) bool { return strings.Contains(err.Error(), s) }) {
						t.Errorf("error %v after the shutdown", err)
					}
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("being refused took %s", took)
				}
				if err := b.Shutdown(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
