//go:build unix

// Package bench measures the chat: against bare TCP, and one carrier against
// the other. Its tests run with PEERLAB_BENCH=1 only: make bench-chat.
package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protodelim"

	"peerlab/event"
	"peerlab/peer/chat"
	"peerlab/peer/chat/chatpb"
)

func measuring(t *testing.T) {
	if os.Getenv("PEERLAB_BENCH") == "" {
		t.Skip("measures; PEERLAB_BENCH=1 runs it")
	}
}

// figures are what one way of sending achieved.
type figures struct {
	rate      float64       // messages a second, at full speed, until the last receiver has the last
	p50, p99  time.Duration // from sending to delivery, paced
	delivered int           // by all receivers at full speed
	cpu       time.Duration // this process took for each of those
}

// used is the processor time of this process.
func used() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// pace is at which rate latency is measured.
const pace = 500

func TestAgainstBareTCP(t *testing.T) {
	measuring(t)
	fmt.Printf("%-9s %9s  %-8s %12s %10s %10s %10s %10s\n", "receivers", "bytes", "", "messages/s", "MB/s out", "p50", "p99", "cpu each")
	for _, receivers := range []int{4, 19} {
		for _, size := range []int{100, 4096} {
			t.Run(fmt.Sprintf("%dx%d", receivers, size), func(t *testing.T) { againstBareTCP(t, receivers, size) })
		}
	}
}

func againstBareTCP(t *testing.T, receivers, size int) {
	n := 60_000
	if size == 4096 {
		n = 240_000 / receivers
	}
	var bare, batched, ours figures
	// Alternating, the best of five: the machine is shared.
	for range 5 {
		bare = better(bare, bareTCP(t, receivers, size, n, 1))
		batched = better(batched, bareTCP(t, receivers, size, n, 64<<10))
		ours = better(ours, chatting(t, receivers, size, n))
	}
	show := func(name string, f figures, note string) {
		fmt.Printf("%-9d %9d  %-8s %12.0f %10.1f %10s %10s %10s%s\n", receivers, size, name, f.rate,
			f.rate*float64(size*receivers)/1e6, f.p50.Round(time.Microsecond), f.p99.Round(time.Microsecond), f.cpu.Round(10*time.Nanosecond), note)
	}
	show("bare TCP", bare, "")
	show("batched", batched, "   bare TCP, 64 KiB at once")
	show("chat", ours, fmt.Sprintf("   %.2f x bare TCP, %.2f x batched", ours.rate/bare.rate, ours.rate/batched.rate))
	if ours.delivered != n*receivers {
		t.Errorf("%d messages of %d were delivered at full speed", ours.delivered, n*receivers)
	}
	if size == 4096 && ours.rate < 0.6*bare.rate {
		t.Errorf("%d receivers: %.2f of the throughput of bare TCP, 0.6 is promised", receivers, ours.rate/bare.rate)
	}
}

func better(a, b figures) figures {
	if a.rate == 0 {
		return b
	}
	b.rate, b.p50, b.p99, b.cpu = max(a.rate, b.rate), min(a.p50, b.p50), min(a.p99, b.p99), min(a.cpu, b.cpu)
	return b
}

func percentiles(took []time.Duration) (p50, p99 time.Duration) {
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*99/100]
}

// chatting measures the chat.
func chatting(t *testing.T, receivers, size, n int) figures {
	var all []chat.Presence
	var rooms []*chat.Chat
	var logs []*event.Log
	for i := range receivers + 1 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("peer%d", i)
		logs = append(logs, event.NewLog(name, 2*pace))
		rooms = append(rooms, chat.Join(chat.Options{Name: name, Incarnation: 1, Listener: l, Events: logs[i]}))
		all = append(all, chat.Presence{Name: name, Addr: l.Addr().String(), Incarnation: 1})
	}
	defer func() {
		for _, r := range rooms {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			r.Leave(ctx)
		}
	}()
	for _, r := range rooms {
		r.Update(all)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	text := strings.Repeat("x", size)
	if d, err := rooms[0].SendAndWait(ctx, text); err != nil || len(d.Acked) != receivers {
		t.Fatalf("%+v, %v", d, err)
	}

	// Paced: from the sender's event to each receiver's.
	tick := time.NewTicker(time.Second / pace)
	for range pace {
		<-tick.C
		if _, err := rooms[0].Send(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	tick.Stop()
	if _, err := rooms[0].SendAndWait(ctx, text); err != nil {
		t.Fatal(err)
	}
	sent := make(map[string]time.Time)
	var took []time.Duration
	for _, log := range logs {
		events, _ := log.Since(0)
		for _, e := range events {
			switch e.Kind {
			case event.ChatSent:
				sent[e.Message] = e.Time
			case event.ChatDelivered:
				took = append(took, e.Time.Sub(sent[e.Message]))
			}
		}
	}
	var f figures
	f.p50, f.p99 = percentiles(took)

	before := total(rooms[1:])
	start, busy := time.Now(), used()
	for range n - 1 {
		if _, err := rooms[0].Send(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	d, err := rooms[0].SendAndWait(ctx, text)
	if err != nil || len(d.Acked) != receivers {
		t.Fatalf("%+v, %v", d, err)
	}
	f.rate = float64(n) / time.Since(start).Seconds()
	f.cpu = (used() - busy) / time.Duration(n*receivers)
	f.delivered = total(rooms[1:]) - before
	return f
}

func total(rooms []*chat.Chat) int {
	n := 0
	for _, r := range rooms {
		n += int(r.Stats().Delivered)
	}
	return n
}

// bareTCP measures the same frames on plain connections: a goroutine for each
// receiver that writes one after the other, at once or batch bytes together, and
// one that reads them whole and drops them.
func bareTCP(t *testing.T, receivers, size, n, batch int) figures {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	frame := func(seq int, text string) []byte {
		var b strings.Builder
		_, err := protodelim.MarshalTo(&b, &chatpb.Frame{Kind: &chatpb.Frame_Message{
			Message: &chatpb.Message{Author: "peer0", Incarnation: 1, Seq: uint64(seq), Text: text},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return []byte(b.String())
	}
	var f figures
	conns := make([]net.Conn, receivers)
	readers := make([]*bufio.Reader, receivers)
	for i := range conns {
		if conns[i], err = net.Dial("tcp", l.Addr().String()); err != nil {
			t.Fatal(err)
		}
		defer conns[i].Close()
		in, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		readers[i] = bufio.NewReaderSize(in, 64<<10)
	}
	read := func(r *bufio.Reader, b []byte) error {
		size, err := binary.ReadUvarint(r)
		if err == nil {
			_, err = io.ReadFull(r, b[:size])
		}
		return err
	}

	// Paced.
	times := make([]time.Time, pace)
	took := make([][]time.Duration, receivers)
	var running sync.WaitGroup
	for i, r := range readers {
		running.Go(func() {
			b := make([]byte, 64<<10)
			for range pace {
				if err := read(r, b); err != nil {
					t.Error(err)
					return
				}
				took[i] = append(took[i], time.Duration(time.Now().UnixNano()))
			}
		})
	}
	tick := time.NewTicker(time.Second / pace)
	for i := range times {
		<-tick.C
		times[i] = time.Now()
		b := frame(i+1, strings.Repeat("x", size))
		for _, c := range conns {
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	tick.Stop()
	running.Wait()
	var all []time.Duration
	for _, of := range took {
		for i, at := range of {
			all = append(all, at-time.Duration(times[i].UnixNano()))
		}
	}
	f.p50, f.p99 = percentiles(all)

	b := frame(1<<20, strings.Repeat("x", size))
	start, busy := time.Now(), used()
	for i := range conns {
		running.Go(func() {
			w := io.Writer(conns[i])
			if batch > 1 {
				buffered := bufio.NewWriterSize(w, batch)
				defer buffered.Flush()
				w = buffered
			}
			for range n {
				if _, err := w.Write(b); err != nil {
					t.Error(err)
				}
			}
		})
		running.Go(func() {
			b := make([]byte, 64<<10)
			for range n {
				if err := read(readers[i], b); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	f.rate = float64(n) / time.Since(start).Seconds()
	f.cpu = (used() - busy) / time.Duration(n*receivers)
	return f
}
