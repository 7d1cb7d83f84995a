package broadcast_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/peer/broadcast"
	"peerlab/peer/membership"
	"peerlab/peer/membership/memberlistconfig"
)

var _ membership.Channel = (*broadcast.Map)(nil)

const tag = 'b'

// start makes a membership on loopback with a map of its own.
func start(t *testing.T, name string, settings ...string) (*membership.Membership, *broadcast.Map) {
	t.Helper()
	conf, err := memberlistconfig.Configure("local", append([]string{
		"ProbeInterval=200ms", "ProbeTimeout=100ms", "GossipInterval=10ms", "TCPTimeout=1s",
	}, settings...))
	if err != nil {
		t.Fatal(err)
	}
	var members atomic.Pointer[membership.Membership]
	m, err := broadcast.New(broadcast.Options{
		Name: name, RetransmitMult: conf.RetransmitMult,
		NumNodes: func() int {
			if ms := members.Load(); ms != nil {
				return ms.Online()
			}
			return 1
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ms, err := membership.Create(membership.Options{
		Name: name, Config: conf, Bind: "127.0.0.1:0", Events: event.NewLog(name, 100),
		Channels: map[byte]membership.Channel{tag: m},
	})
	if err != nil {
		t.Fatal(err)
	}
	members.Store(ms)
	t.Cleanup(func() {
		if err := ms.Shutdown(); err != nil {
			t.Error(err)
		}
	})
	return ms, m
}

// await waits until the map is as wanted.
func await(t *testing.T, m *broadcast.Map, what string, ok func([]broadcast.Entry) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		changed := m.Changed()
		if ok(m.List()) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("no %s: %q", what, show(m))
		}
	}
}

func TestFiveMembers(t *testing.T) {
	var first *membership.Membership
	var all []*broadcast.Map
	for i := range 5 {
		ms, m := start(t, fmt.Sprintf("peer%d", i), "PushPullInterval=500ms")
		if first == nil {
			first = ms
		} else if _, err := ms.Join(t.Context(), []string{first.Addr()}); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	const each = 20
	for i, m := range all {
		for k := range each {
			add(t, m, fmt.Sprintf("key-%d-%02d", i, k), fmt.Sprintf("text %d", k))
		}
		add(t, m, "contested", fmt.Sprint(i))
	}
	for _, m := range all {
		await(t, m, "all keys", func(e []broadcast.Entry) bool { return len(e) == 5*each+1 })
	}
	// Written in ignorance or not, all agree in the end who won.
	for _, m := range all[1:] {
		await(t, m, "agreement", func(e []broadcast.Entry) bool { return slices.Equal(e, all[0].List()) })
	}
	var keys []string
	for _, e := range all[3].List() {
		keys = append(keys, e.Key)
	}
	remove(t, all[3], keys...)
	for _, m := range all {
		await(t, m, "empty map", func(e []broadcast.Entry) bool { return len(e) == 0 })
		if m.Dropped() != 0 {
			t.Errorf("%d messages were malformed", m.Dropped())
		}
	}
}

// The longest entry fits a packet, encrypted and without compression. There is
// no push/pull here but that of the join.
func TestLongestEntryFitsAPacket(t *testing.T) {
	no := []string{"PushPullInterval=0s", "EnableCompression=false", "Label=" + strings.Repeat("l", 100)}
	name := strings.Repeat("a", 63)
	ams, a := start(t, name+"1", no...)
	bms, b := start(t, name+"2", no...)
	for _, ms := range []*membership.Membership{ams, bms} {
		if _, err := ms.InstallKey(strings.Repeat("k", 16)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := bms.Join(t.Context(), []string{ams.Addr()}); err != nil {
		t.Fatal(err)
	}
	key := strings.Repeat("k", broadcast.MaxKey)
	add(t, a, key, strings.Repeat("t", broadcast.MaxText))
	await(t, b, "longest entry", func(e []broadcast.Entry) bool { return len(e) == 1 && e[0].Key == key })
}
