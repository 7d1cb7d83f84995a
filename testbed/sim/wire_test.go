package sim

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/testbed"
)

// pair is two hosts, a and b, and what they talk through.
type pair struct {
	net    *network
	a, b   *life
	ta, tb *transport
}

// between runs f in virtual time with two hosts and the link from a to b.
func between(t *testing.T, link testbed.Link, f func(t *testing.T, p pair)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(1, func() {})
		defer n.close()
		p := pair{net: n}
		life := func(name, addr string) (*life, *transport) {
			l := n.add(name, netip.MustParseAddr(addr)).begin(0)
			tr, err := l.open()
			if err != nil {
				t.Fatal(err)
			}
			return l, tr.(*transport)
		}
		p.a, p.ta = life("a", "10.0.0.1")
		p.b, p.tb = life("b", "10.0.0.2")
		p.links(testbed.Links{{From: "a", To: "b"}: link})
		f(t, p)
		p.a.finish(killed)
		p.b.finish(killed)
	})
}

func (p pair) links(l testbed.Links) { p.net.setLinks(l) }

// send sends n packets of a payload size, one every gap, and returns when those
// that arrived within a minute did, counted from when each was sent.
func (p pair) send(t *testing.T, n, size int, gap time.Duration) (took []time.Duration, order []int) {
	t.Helper()
	start := time.Now()
	done := make(chan struct{})
	end := time.After(time.Duration(n)*gap + time.Minute)
	go func() {
		defer close(done)
		for {
			select {
			case m := <-p.tb.packets:
				i := int(m.Buf[0])<<16 | int(m.Buf[1])<<8 | int(m.Buf[2])
				took = append(took, m.Timestamp.Sub(start)-time.Duration(i)*gap)
				order = append(order, i)
				if len(m.Buf) != size || m.From.String() != "10.0.0.1:7946" {
					t.Errorf("%d bytes from %s", len(m.Buf), m.From)
				}
			case <-end:
				return
			}
		}
	}()
	b := make([]byte, size)
	for i := range n {
		b[0], b[1], b[2] = byte(i>>16), byte(i>>8), byte(i)
		if _, err := p.ta.WriteTo(b, "10.0.0.2:7946"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(gap)
	}
	<-done
	return took, order
}

// within fails unless got of n is a share of percent, give or take five
// standard deviations: once in two million.
func within(t *testing.T, what string, got, n int, percent float64) {
	t.Helper()
	p := percent / 100
	mean, sd := float64(n)*p, math.Sqrt(float64(n)*p*(1-p))
	if math.Abs(float64(got)-mean) > 5*sd {
		t.Errorf("%s: %d of %d, want %g %%: %.0f ± %.0f", what, got, n, percent, mean, 5*sd)
	}
}

func TestPackets(t *testing.T) {
	const n, size = 4000, 100
	const delay, jitter = 50 * time.Millisecond, 10 * time.Millisecond
	for _, test := range []struct {
		name string
		link testbed.Link
		gap  time.Duration
		want func(t *testing.T, took []time.Duration, order []int)
	}{
		{"healthy", testbed.Link{}, time.Millisecond, func(t *testing.T, took []time.Duration, _ []int) {
			exactly(t, took, n, latency)
		}},
		{"drop udp", testbed.Link{Drop: testbed.DropUDP}, 0, func(t *testing.T, took []time.Duration, _ []int) { exactly(t, took, 0, 0) }},
		{"drop all", testbed.Link{Drop: testbed.DropAll}, 0, func(t *testing.T, took []time.Duration, _ []int) { exactly(t, took, 0, 0) }},
		{"drop tcp", testbed.Link{Drop: testbed.DropTCP}, time.Millisecond, func(t *testing.T, took []time.Duration, _ []int) {
			exactly(t, took, n, latency)
		}},
		{"over less", testbed.Link{Over: size + 27}, 0, func(t *testing.T, took []time.Duration, _ []int) { exactly(t, took, 0, 0) }},
		{"over as much", testbed.Link{Over: size + 28}, time.Millisecond, func(t *testing.T, took []time.Duration, _ []int) {
			exactly(t, took, n, latency)
		}},
		{"loss", testbed.Link{Loss: 30}, time.Millisecond, func(t *testing.T, took []time.Duration, _ []int) {
			within(t, "arrived", len(took), n, 70)
		}},
		{"every third", testbed.Link{Every: 3}, time.Millisecond, func(t *testing.T, took []time.Duration, order []int) {
			exactly(t, took, n-n/3, latency)
			for _, i := range order {
				if i%3 == 2 {
					t.Fatalf("packet %d arrived", i+1)
				}
			}
		}},
		{"corrupt", testbed.Link{Shape: testbed.Shape{Corrupt: 5}}, time.Millisecond, func(t *testing.T, took []time.Duration, _ []int) {
			within(t, "arrived", len(took), n, 95)
		}},
		{"delay", testbed.Link{Shape: testbed.Shape{Delay: delay}}, time.Millisecond, func(t *testing.T, took []time.Duration, order []int) {
			exactly(t, took, n, latency+delay)
			within(t, "overtaken", overtaken(order), n, 0)
		}},
		{"jitter", testbed.Link{Shape: testbed.Shape{Delay: delay, Jitter: jitter}}, time.Millisecond, func(t *testing.T, took []time.Duration, order []int) {
			quarter := 0
			for _, d := range took {
				if d -= latency; d < delay-jitter || d > delay+jitter {
					t.Fatalf("%s", d)
				} else if d < delay-jitter/2 {
					quarter++
				}
			}
			within(t, "in the first quarter", quarter, n, 25)
			if len(took) != n || overtaken(order) < n/2 {
				t.Errorf("%d arrived, %d were overtaken", len(took), overtaken(order))
			}
		}},
		{"reorder", testbed.Link{Shape: testbed.Shape{Delay: delay, Reorder: 20}}, time.Second, func(t *testing.T, took []time.Duration, _ []int) {
			early := 0
			for _, d := range took {
				switch d {
				case latency:
					early++
				case latency + delay:
				default:
					t.Fatalf("%s", d)
				}
			}
			within(t, "not delayed", early, n, 20)
		}},
		{"duplicate", testbed.Link{Shape: testbed.Shape{Duplicate: 10}}, time.Millisecond, func(t *testing.T, took []time.Duration, _ []int) {
			within(t, "twice", len(took)-n, n, 10)
		}},
		// A frame of 142 bytes takes 1,136 µs at 1 Mbit/s. Sent every 1,000 µs,
		// each finds 136 µs more before it than the one before. The bucket has
		// 3,200 bytes, 25.6 ms, which pass immediately.
		{"rate", testbed.Link{Shape: testbed.Shape{Rate: 1_000_000}}, time.Millisecond, func(t *testing.T, took []time.Duration, _ []int) {
			if len(took) < 1000 {
				t.Fatalf("%d arrived", len(took))
			}
			for i, d := range took[:1000] {
				wait := 1136*time.Microsecond + time.Duration(i)*136*time.Microsecond - 25600*time.Microsecond
				if want := latency + max(0, wait); d != want {
					t.Fatalf("packet %d took %s, want %s", i, d, want)
				}
			}
		}},
		// Sent twice as fast as the link is, half of the packets are lost and the
		// others wait for 200 ms.
		{"rate exceeded", testbed.Link{Shape: testbed.Shape{Rate: 1_000_000}}, 568 * time.Microsecond, func(t *testing.T, took []time.Duration, _ []int) {
			if len(took) < n/2 || len(took) > n/2+200 {
				t.Errorf("%d of %d arrived", len(took), n)
			}
			if last := took[len(took)-1]; last < 197*time.Millisecond || last > 200*time.Millisecond+latency {
				t.Errorf("the last took %s", last)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			between(t, test.link, func(t *testing.T, p pair) {
				took, order := p.send(t, n, size, test.gap)
				test.want(t, took, order)
				// The way back is healthy.
				if _, err := p.tb.WriteTo([]byte("x"), "10.0.0.1:7946"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				if len(p.ta.packets) != 1 {
					t.Error("nothing comes back")
				}
			})
		})
	}
}

func exactly(t *testing.T, took []time.Duration, n int, want time.Duration) {
	t.Helper()
	if len(took) != n {
		t.Errorf("%d arrived, want %d", len(took), n)
	}
	for _, d := range took {
		if d != want {
			t.Fatalf("took %s, want %s", d, want)
		}
	}
}

// overtaken counts the packets that arrived after one sent later.
func overtaken(order []int) (n int) {
	latest := -1
	for _, i := range order {
		if i < latest {
			n++
		}
		latest = max(latest, i)
	}
	return n
}

// TestSameSeedSameLoss: what happens on one link does not depend on the others.
func TestSameSeedSameLoss(t *testing.T) {
	lost := func(seed uint64, others bool) string {
		var s []byte
		n := newNetwork(seed, func() {})
		defer n.close()
		n.setLinks(testbed.Links{{From: "a", To: "b"}: {Loss: 50}, {From: "b", To: "a"}: {Loss: 50}})
		a, b := n.wires[testbed.Pair{From: "a", To: "b"}], n.wires[testbed.Pair{From: "b", To: "a"}]
		for range 64 {
			if others {
				b.carry(udp, 100, time.Time{})
			}
			_, ok := a.carry(udp, 100, time.Time{})
			s = append(s, "-x"[map[bool]int{true: 1}[ok]])
		}
		return string(s)
	}
	if lost(1, false) != lost(1, true) {
		t.Error("traffic elsewhere changes what is lost")
	}
	if lost(1, false) == lost(2, false) {
		t.Error("two seeds lose the same")
	}
}

func TestBufferIsBounded(t *testing.T) {
	between(t, testbed.Link{}, func(t *testing.T, p pair) {
		for _, paused := range []bool{false, true} {
			p.b.pause(paused)
			for range 2 * maxHeld {
				if _, err := p.ta.WriteTo([]byte("x"), "10.0.0.2:7946"); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second)
			if paused && len(p.tb.packets) != 0 {
				t.Error("a paused peer receives")
			}
			p.b.pause(false)
			if got := len(p.tb.packets); got != maxHeld {
				t.Errorf("paused %t: %d packets wait, want %d", paused, got, maxHeld)
			}
			for len(p.tb.packets) > 0 {
				<-p.tb.packets
			}
		}
	})
}

// TestThrottledTakesTime: at 1/100 of a processor a message of 100 µs takes
// 10 ms.
func TestThrottledTakesTime(t *testing.T) {
	between(t, testbed.Link{}, func(t *testing.T, p pair) {
		p.b.throttle(0.01)
		start := time.Now()
		for range 10 {
			_, _ = p.ta.WriteTo([]byte("x"), "10.0.0.2:7946")
		}
		for i := range 10 {
			m := <-p.tb.packets
			if got, want := m.Timestamp.Sub(start), latency+time.Duration(i+1)*10*time.Millisecond; got != want {
				t.Errorf("packet %d took %s, want %s", i, got, want)
			}
		}
	})
}

// TestPausedSendsNothing: a send waits for the end of a pause, or of the peer.
func TestPausedSendsNothing(t *testing.T) {
	between(t, testbed.Link{}, func(t *testing.T, p pair) {
		p.a.pause(true)
		sent := make(chan error)
		write := func() {
			_, err := p.ta.WriteTo([]byte("x"), "10.0.0.2:7946")
			sent <- err
		}
		go write()
		time.Sleep(time.Minute)
		start := time.Now()
		p.a.pause(false)
		if err := <-sent; err != nil {
			t.Error(err)
		}
		if m := <-p.tb.packets; m.Timestamp.Sub(start) != latency {
			t.Errorf("arrived %s after the pause", m.Timestamp.Sub(start))
		}
		p.a.pause(true)
		go write()
		synctest.Wait()
		_ = p.ta.Shutdown()
		if err := <-sent; err == nil {
			t.Error("sent after the end")
		}
	})
}

// stream connects a to b and returns both sides.
func (p pair) stream(t *testing.T) (a, b net.Conn) {
	t.Helper()
	a, err := p.ta.DialAddressTimeout(memberlist.Address{Addr: "10.0.0.2:7946"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return a, <-p.tb.streams.queue
}

func TestDial(t *testing.T) {
	const cut = 7 * time.Second
	both := func(l testbed.Link) testbed.Links {
		return testbed.Links{{From: "a", To: "b"}: l, {From: "b", To: "a"}: l}
	}
	timeout := func(err error) bool {
		var ne net.Error
		return errors.As(err, &ne) && ne.Timeout()
	}
	refused := func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
	fine := func(err error) bool { return err == nil }
	for _, test := range []struct {
		name string
		do   func(p pair)
		ok   func(error) bool
		took time.Duration
	}{
		{"healthy", func(pair) {}, fine, 2 * latency},
		{"delayed", func(p pair) { p.links(both(testbed.Link{Shape: testbed.Shape{Delay: time.Second / 4}})) }, fine, 2*latency + time.Second/2},
		{"cut", func(p pair) { p.links(both(testbed.Link{Drop: testbed.DropAll})) }, timeout, 10 * time.Second},
		{"cut for udp", func(p pair) { p.links(both(testbed.Link{Drop: testbed.DropUDP})) }, fine, 2 * latency},
		{"cut one way", func(p pair) { p.links(testbed.Links{{From: "b", To: "a"}: {Drop: testbed.DropTCP}}) }, timeout, 10 * time.Second},
		// Tried at 0, 1, 3 and 7 seconds.
		{"cut, then healed", func(p pair) {
			p.links(both(testbed.Link{Drop: testbed.DropAll}))
			time.AfterFunc(cut-time.Second, func() { p.links(nil) })
		}, fine, cut + 2*latency},
		{"killed", func(p pair) { p.b.finish(killed) }, timeout, 10 * time.Second},
		{"stopped", func(p pair) { p.b.finish(exited) }, refused, 2 * latency},
		{"paused", func(p pair) { p.b.pause(true) }, fine, 2 * latency},
		{"shut down", func(p pair) { _ = p.tb.Shutdown() }, refused, 2 * latency},
		{"nobody there", func(p pair) { p.net.move(p.b.host, netip.MustParseAddr("10.0.0.3")) }, timeout, 10 * time.Second},
		{"shut down meanwhile", func(p pair) {
			p.links(both(testbed.Link{Drop: testbed.DropAll}))
			time.AfterFunc(time.Second, func() { _ = p.ta.Shutdown() })
		}, func(err error) bool { return errors.Is(err, context.Canceled) }, time.Second},
		{"killed meanwhile", func(p pair) {
			p.links(both(testbed.Link{Drop: testbed.DropAll}))
			time.AfterFunc(time.Second, func() { p.a.finish(killed) })
		}, func(err error) bool { return errors.Is(err, net.ErrClosed) }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			between(t, testbed.Link{}, func(t *testing.T, p pair) {
				test.do(p)
				start := time.Now()
				c, err := p.ta.DialTimeout("10.0.0.2:7946", 10*time.Second)
				if took := time.Since(start); !test.ok(err) || test.took != 0 && took != test.took {
					t.Errorf("after %s: %v", took, err)
				}
				if err == nil {
					_ = c.Close()
				}
			})
		})
	}
}

// TestStream sends more than the window in both directions at once, over a bad
// link, and closes.
func TestStream(t *testing.T) {
	bad := testbed.Link{Loss: 10, Shape: testbed.Shape{Delay: 20 * time.Millisecond, Jitter: 20 * time.Millisecond, Duplicate: 10, Rate: 10_000_000}}
	for name, link := range map[string]testbed.Link{"healthy": {}, "bad": bad} {
		t.Run(name, func(t *testing.T) {
			between(t, link, func(t *testing.T, p pair) {
				a, b := p.stream(t)
				sent := make([]byte, 3*window+17)
				for i := range sent {
					sent[i] = byte(i * i >> 3)
				}
				for _, c := range []net.Conn{a, b} {
					go func() {
						if n, err := c.Write(sent); n != len(sent) || err != nil {
							t.Errorf("wrote %d, %v", n, err)
						}
					}()
				}
				for _, c := range []net.Conn{b, a} {
					got := make([]byte, len(sent))
					if n, err := io.ReadFull(c, got); err != nil {
						t.Fatalf("read %d, %v", n, err)
					}
					if string(got) != string(sent) {
						t.Error("not what was sent")
					}
				}
				if _, err := a.Write([]byte("last")); err != nil {
					t.Fatal(err)
				}
				_ = a.Close()
				if got, err := io.ReadAll(b); string(got) != "last" || err != nil {
					t.Errorf("%q, %v", got, err)
				}
				// Nobody reads any more: that is a reset.
				if _, err := b.Write([]byte("x")); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
				if _, err := b.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("write to the closed: %v", err)
				}
				_ = b.Close()
				if len(p.a.conns)+len(p.b.conns) != 0 {
					t.Errorf("%d and %d connections are kept", len(p.a.conns), len(p.b.conns))
				}
			})
		})
	}
}

// TestStreamAcrossACut stalls, and goes on when TCP sends again: 200 ms, 400,
// … 25.6 s after each other.
func TestStreamAcrossACut(t *testing.T) {
	between(t, testbed.Link{}, func(t *testing.T, p pair) {
		a, b := p.stream(t)
		p.links(testbed.Links{{From: "a", To: "b"}: {Drop: testbed.DropAll}, {From: "b", To: "a"}: {Drop: testbed.DropAll}})
		start := time.Now()
		if _, err := a.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		_ = b.SetReadDeadline(start.Add(10 * time.Second))
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("read across the cut: %v after %s", err, time.Since(start))
		}
		p.links(nil)
		_ = b.SetReadDeadline(time.Time{})
		_, err := b.Read(make([]byte, 1))
		// 0.2 · (1 + 2 + … + 32) = 12.6 s
		if took := time.Since(start); err != nil || took != 12600*time.Millisecond+latency {
			t.Errorf("after the cut: %v after %s", err, took)
		}

		// For ever: the sender gives up after a quarter of an hour, as Linux.
		p.links(testbed.Links{{From: "a", To: "b"}: {Drop: testbed.DropTCP}})
		start = time.Now()
		_, _ = a.Write([]byte("x"))
		_, err = a.Read(make([]byte, 1))
		if took := time.Since(start).Round(time.Second); !errors.Is(err, syscall.ETIMEDOUT) || took < 13*time.Minute || took > 17*time.Minute {
			t.Errorf("%v after %s", err, took)
		}
	})
}

// TestStreamOver: what is longer than the path carries never arrives, what is
// shorter does.
func TestStreamOver(t *testing.T) {
	between(t, testbed.Link{Over: 1000}, func(t *testing.T, p pair) {
		a, b := p.stream(t)
		_, _ = a.Write(make([]byte, 900))
		_, _ = a.Write(make([]byte, 1400))
		_ = b.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := io.ReadFull(b, make([]byte, 2300))
		if n != 900 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

func TestStreamRate(t *testing.T) {
	between(t, testbed.Link{Shape: testbed.Shape{Rate: 1_000_000}}, func(t *testing.T, p pair) {
		a, b := p.stream(t)
		start := time.Now()
		const n = 100 * mss
		go func() { _, _ = a.Write(make([]byte, n)) }()
		if _, err := io.ReadFull(b, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		// 100 frames of 1,514 bytes at 1 Mbit/s, less the 25.6 ms of the bucket, a
		// little of which the handshake has taken.
		if got, most := time.Since(start), 1211200*time.Microsecond-25600*time.Microsecond+2*time.Millisecond; got < most-2*time.Millisecond || got > most {
			t.Errorf("took %s, want %s", got, most)
		}
	})
}

func TestStreamEnds(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(p pair)
		want error // of a's read; nil if it hears nothing
	}{
		{"killed", func(p pair) { p.b.finish(killed) }, syscall.ECONNRESET},
		{"exited", func(p pair) { p.b.finish(exited) }, syscall.ECONNRESET},
		{"killed behind a cut", func(p pair) {
			p.links(testbed.Links{{From: "b", To: "a"}: {Drop: testbed.DropAll}})
			p.b.finish(killed)
		}, nil},
		{"itself killed", func(p pair) { p.a.finish(killed) }, net.ErrClosed},
		{"transport shut down", func(p pair) { _ = p.ta.Shutdown() }, net.ErrClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			between(t, testbed.Link{}, func(t *testing.T, p pair) {
				a, _ := p.stream(t)
				_ = a.SetReadDeadline(time.Now().Add(time.Hour))
				time.AfterFunc(time.Second, func() { test.do(p) })
				_, err := a.Read(make([]byte, 1))
				if want := test.want; want == nil && !errors.Is(err, os.ErrDeadlineExceeded) || want != nil && !errors.Is(err, want) {
					t.Errorf("%v, want %v", err, want)
				}
			})
		})
	}
}
