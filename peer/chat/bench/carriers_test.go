//go:build unix

package bench

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/peer/chat"
	"peerlab/peer/membership"
	"peerlab/peer/membership/memberlistconfig"
)

// The two carriers beside each other, on this host's network: a membership of
// real memberlists, a message of 100 bytes from one after the other.
func TestCarriers(t *testing.T) {
	measuring(t)
	fmt.Printf("%-5s %-8s %8s %10s %10s %12s %14s %14s\n", "peers", "carrier", "messages", "p50", "p99", "complete at", "bytes/message", "by packets")
	for _, peers := range []int{5, 20, 50} {
		for _, gossip := range []bool{false, true} {
			carriers(t, peers, gossip)
		}
	}
}

// carriers measures one of them.
func carriers(t *testing.T, peers int, gossip bool) {
	const messages, every = 100, 50 * time.Millisecond
	var (
		rooms   []*chat.Chat
		members []*membership.Membership
		logs    []*event.Log
		queued  atomic.Uint64 // bytes handed to memberlist, the channel's tag included
	)
	defer func() {
		for i := range rooms {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			rooms[i].Leave(ctx)
			_ = members[i].Shutdown()
		}
	}()
	for i := range peers {
		name := fmt.Sprintf("peer%d", i)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		log := event.NewLog(name, 100_000)
		o := chat.Options{Name: name, Incarnation: 1, Listener: l, Events: log}
		channels := map[byte]membership.Channel{}
		if gossip {
			o.Gossip = chat.NewGossip(func() int { return peers }, 4)
			channels['a'] = weighed{o.Gossip, &queued}
		}
		// With the local profile's 2, gossip misses some of fifty for minutes.
		conf, err := memberlistconfig.Configure("local", []string{"RetransmitMult=8"})
		if err != nil {
			t.Fatal(err)
		}
		m, err := membership.Create(membership.Options{
			Name: name, Config: conf, Bind: "127.0.0.1:0", Events: event.NewLog(name, 100),
			Channels: channels, Log: slog.New(slog.DiscardHandler),
			Meta: membership.Meta{"chat": chat.Announce(l.Addr().String(), 1)},
		})
		if err != nil {
			t.Fatal(err)
		}
		rooms, members, logs = append(rooms, chat.Join(o)), append(members, m), append(logs, log)
		if i > 0 {
			if _, err := m.Join(t.Context(), []string{members[0].Addr()}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var all []chat.Presence
	deadline := time.Now().Add(time.Minute)
	for i, m := range members {
		for m.Online() < peers {
			if time.Now().After(deadline) {
				t.Fatalf("peer%d sees %d members", i, m.Online())
			}
			<-m.Changed()
		}
	}
	for _, m := range members[0].Members() {
		addr, incarnation, _ := chat.Announced(m.Meta["chat"])
		all = append(all, chat.Presence{Name: m.Name, Addr: addr, Incarnation: incarnation})
	}
	for _, r := range rooms {
		r.Update(all)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if d, err := rooms[0].SendAndWait(ctx, "begin"); err != nil || len(d.Missing) > 0 {
		t.Fatalf("%d miss the first message, %v", len(d.Missing), err)
	}
	connections := func() (n uint64) {
		for _, r := range rooms {
			n += r.Stats().BytesOut
		}
		return n
	}
	before := connections()
	queued.Store(0)
	text := fmt.Sprintf("%0100d", 0)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := range messages {
		<-tick.C
		if _, err := rooms[i%peers].Send(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	// Complete when everyone has delivered the others' messages.
	begin := time.Now()
	var running sync.WaitGroup
	for i, log := range logs {
		running.Go(func() {
			want := messages + 1 - share(i, peers, messages)
			got := 0
			for after := uint64(0); got < want; {
				events, err := log.Read(ctx, after)
				if err != nil {
					t.Errorf("peer%d has %d messages of %d", i, got, want)
					return
				}
				for _, e := range events {
					if after = e.Seq; e.Kind == event.ChatDelivered {
						got++
					}
				}
			}
		})
	}
	running.Wait()
	complete := time.Since(begin)
	conns, packets := connections()-before, queued.Load()
	sent := make(map[string]time.Time)
	var took []time.Duration
	for _, log := range logs {
		events, _ := log.Since(0)
		for _, e := range events {
			if e.Kind == event.ChatSent {
				sent[e.Message] = e.Time
			}
		}
	}
	for _, log := range logs {
		events, _ := log.Since(0)
		for _, e := range events {
			if e.Kind == event.ChatDelivered {
				took = append(took, e.Time.Sub(sent[e.Message]))
			}
		}
	}
	p50, p99 := percentiles(took)
	carrier := "direct"
	if gossip {
		carrier = "gossip"
	}
	fmt.Printf("%-5d %-8s %8d %10s %10s %12s %14d %14d\n", peers, carrier, messages, p50.Round(100*time.Microsecond), p99.Round(100*time.Microsecond),
		"+"+complete.Round(time.Millisecond).String(), (conns+packets)/messages, packets/messages)
}

// share is how many of the messages peer i sends, the first one included.
func share(i, peers, messages int) int {
	n := messages / peers
	if i < messages%peers {
		n++
	}
	if i == 0 {
		n++
	}
	return n
}

// weighed counts what a channel sends.
type weighed struct {
	membership.Channel
	bytes *atomic.Uint64
}

func (w weighed) Broadcasts(overhead, limit int) [][]byte {
	all := w.Channel.Broadcasts(overhead, limit)
	for _, b := range all {
		w.bytes.Add(uint64(len(b) + 1))
	}
	return all
}
