package fabric

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// arrivals sends n datagrams of the given payload from one socket to another
// peer's, then one that must arrive, by way of which the receiver knows that
// what has not come by then was dropped: a bridge keeps the order.
func arrivals(t *testing.T, from, to *net.UDPConn, n, size int, barrier func()) int {
	t.Helper()
	target := to.LocalAddr().(*net.UDPAddr).AddrPort()
	buf := make([]byte, max(size, 8))
	sent, got := 0, 0
	must(t, to.SetReadDeadline(time.Now().Add(deadline)))
	for i := range n {
		binary.BigEndian.PutUint64(buf, uint64(i))
		if _, err := from.WriteToUDPAddrPort(buf, target); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	barrier()
	read := make([]byte, 65536)
	for {
		k, _, err := to.ReadFromUDPAddrPort(read)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("the datagram that ends the count did not come; %d of %d others did", got, sent)
		}
		must(t, err)
		if k == 1 {
			return got
		}
		got++
	}
}

// meet has the sockets exchange a datagram each with each: what follows does
// not wait for ARP.
func meet(t *testing.T, conns ...*net.UDPConn) {
	t.Helper()
	for _, a := range conns {
		for _, b := range conns {
			if a == b {
				continue
			}
			must(t, b.SetReadDeadline(time.Now().Add(deadline)))
			_, err := a.WriteTo([]byte("hello"), b.LocalAddr())
			must(t, err)
			_, _, err = b.ReadFrom(make([]byte, 10))
			must(t, err)
		}
	}
}

// quiet is a third peer through which a test says "that was all": the socket
// of peer 2 sends a single byte, on links that no test touches.
func quiet(t *testing.T, witness, to *net.UDPConn) func() {
	return func() {
		t.Helper()
		if _, err := witness.WriteToUDPAddrPort([]byte{0}, to.LocalAddr().(*net.UDPAddr).AddrPort()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDropSeenBySockets(t *testing.T) {
	l := newLab(t, 3)
	a := l.agent(t)
	alice, bob, witness := l.udp(t, 0), l.udp(t, 1), l.udp(t, 2)
	meet(t, alice, bob, witness)
	l.listen(t, 0)
	l.listen(t, 1)

	const all, none = 20, 0
	for _, test := range []struct {
		name     string
		matrix   Matrix
		there    int // of 20 datagrams from alice to bob
		back     int
		long     int // of 20 datagrams of 1,400 bytes from alice to bob
		tcp      bool
		counters map[Pair]uint64 // of datagrams dropped
	}{
		{"healthy", Matrix{}, all, all, all, true, nil},
		{"symmetric", Matrix{l.pair(0, 1): {Drop: DropAll}, l.pair(1, 0): {Drop: DropAll}}, none, none, none, false, map[Pair]uint64{l.pair(0, 1): 40, l.pair(1, 0): 20}},
		{"one way", Matrix{l.pair(0, 1): {Drop: DropAll}}, none, all, none, false, map[Pair]uint64{l.pair(0, 1): 40}},
		{"the other way", Matrix{l.pair(1, 0): {Drop: DropAll}}, all, none, all, false, map[Pair]uint64{l.pair(1, 0): 20}},
		{"UDP only", Matrix{l.pair(0, 1): {Drop: DropUDP}, l.pair(1, 0): {Drop: DropUDP}}, none, none, none, true, map[Pair]uint64{l.pair(0, 1): 40, l.pair(1, 0): 20}},
		{"TCP only", Matrix{l.pair(0, 1): {Drop: DropTCP}, l.pair(1, 0): {Drop: DropTCP}}, all, all, all, false, nil},
		{"long", Matrix{l.pair(0, 1): {Over: 1000}}, all, all, none, true, map[Pair]uint64{l.pair(0, 1): 20}},
		{"exactly not too long", Matrix{l.pair(0, 1): {Over: 1428}}, all, all, all, true, nil},
		{"one byte too long", Matrix{l.pair(0, 1): {Over: 1427}}, all, all, none, true, map[Pair]uint64{l.pair(0, 1): 20}},
		{"loss of everything", Matrix{l.pair(0, 1): {Loss: 100}}, none, all, none, false, map[Pair]uint64{l.pair(0, 1): 40}},
		{"every third, each pair by itself", Matrix{l.pair(0, 1): {Every: 3}, l.pair(1, 0): {Every: 3}}, 14, 14, 13, true, map[Pair]uint64{l.pair(0, 1): 13, l.pair(1, 0): 6}},
		{"another pair", Matrix{l.pair(1, 2): {Drop: DropAll}}, all, all, all, true, nil},
		{"healed", nil, all, all, all, true, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := a.apply(test.matrix, 0)
			must(t, err)
			if got := arrivals(t, alice, bob, 20, 100, quiet(t, witness, bob)); got != test.there {
				t.Errorf("%d of 20 datagrams arrived, want %d", got, test.there)
			}
			if got := arrivals(t, bob, alice, 20, 100, quiet(t, witness, alice)); got != test.back {
				t.Errorf("%d of 20 datagrams arrived on the way back, want %d", got, test.back)
			}
			if got := arrivals(t, alice, bob, 20, 1400, quiet(t, witness, bob)); got != test.long {
				t.Errorf("%d of 20 long datagrams arrived, want %d", got, test.long)
			}
			counts, err := a.counters()
			must(t, err)
			for pair, want := range test.counters {
				if got := counts[pair].Dropped; got != want {
					t.Errorf("%s: %d counted as dropped, want %d", pair, got, want)
				}
			}
			patience := deadline
			if !test.tcp {
				patience = 300 * time.Millisecond
			}
			conn, err := l.dial(t, 0, 1, patience)
			if test.tcp && err != nil {
				t.Errorf("no connection: %v", err)
			}
			if err == nil {
				// Reset, so that the next test counts no farewell.
				must(t, errors.Join(conn.(*net.TCPConn).SetLinger(0), conn.Close()))
			}
			if timeout := net.Error(nil); !test.tcp && (!errors.As(err, &timeout) || !timeout.Timeout()) {
				t.Errorf("connecting: %v, want silence", err)
			}
		})
	}
}

func TestLoss(t *testing.T) {
	l := newLab(t, 3)
	a := l.agent(t)
	alice, bob, witness := l.udp(t, 0), l.udp(t, 1), l.udp(t, 2)
	meet(t, alice, bob, witness)
	_, err := a.apply(Matrix{l.pair(0, 1): {Loss: 30}}, 0)
	must(t, err)
	const n, p = 5000, 0.3
	got := 0
	for range n / 250 { // in portions that fit into the receiver's buffer
		got += arrivals(t, alice, bob, 250, 100, quiet(t, witness, bob))
	}
	t.Logf("measured %d of %d lost", n-got, n)
	// Five standard deviations: a false alarm in 1.7 million runs.
	bound := 5 * math.Sqrt(n*p*(1-p))
	if lost := float64(n - got); math.Abs(lost-n*p) > bound {
		t.Errorf("%.0f of %d lost, want %.0f ± %.0f", lost, n, n*p, bound)
	}
	counts, err := a.counters()
	must(t, err)
	if c := counts[l.pair(0, 1)]; c.Packets != n || int(c.Dropped) != n-got {
		t.Errorf("counted %+v, want %d packets and %d dropped", c, n, n-got)
	}
}

func TestEstablishedTCPIsCutAndHeals(t *testing.T) {
	l := newLab(t, 2)
	a := l.agent(t)
	listener := l.listen(t, 1)
	conn, err := l.dial(t, 0, 1, deadline)
	must(t, err)
	accepted, err := listener.Accept()
	must(t, err)
	defer accepted.Close()
	say := func(word string) { _, err := conn.Write([]byte(word)); must(t, err) }
	hear := func(patience time.Duration) (string, error) {
		must(t, accepted.SetReadDeadline(time.Now().Add(patience)))
		buf := make([]byte, 100)
		n, err := accepted.Read(buf)
		return string(buf[:n]), err
	}
	say("one")
	if word, err := hear(deadline); word != "one" {
		t.Fatalf("heard %q, %v", word, err)
	}
	cut := partition(l.peers[0].addr, l.peers[1].addr)
	_, err = a.apply(cut, 0)
	must(t, err)
	say("two")
	// The packet is known to be dropped: only then is silence worth anything.
	eventually(t, "the cut drops the segment", func() bool {
		counts, err := a.counters()
		must(t, err)
		return counts[l.pair(0, 1)].Dropped > 0
	})
	if word, err := hear(time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("heard %q, %v through a cut", word, err)
	}
	must(t, a.clear())
	if word, err := hear(deadline); word != "two" {
		t.Fatalf("heard %q, %v after the heal", word, err)
	}
}

// A cache of ARP that is lost during a cut must neither tell the peer of it
// nor delay the heal.
func TestARPPasses(t *testing.T) {
	l := newLab(t, 2)
	a := l.agent(t)
	alice, bob := l.udp(t, 0), l.udp(t, 1)
	cut := partition(l.peers[0].addr, l.peers[1].addr)
	_, err := a.apply(cut, 0)
	must(t, err)
	l.listen(t, 1)
	if _, err := l.dial(t, 0, 1, 4*time.Second); errors.Is(err, unix.EHOSTUNREACH) {
		t.Error("a cut answered: no route to host")
	}
	counts, err := a.counters()
	must(t, err)
	if counts[l.pair(0, 1)].Dropped == 0 {
		t.Error("no packet got as far as the rules: was ARP dropped?")
	}
	must(t, a.clear())
	must(t, alice.SetDeadline(time.Now().Add(deadline)))
	must(t, bob.SetDeadline(time.Now().Add(deadline)))
	start := time.Now()
	_, err = alice.WriteTo([]byte("hello"), bob.LocalAddr())
	must(t, err)
	_, _, err = bob.ReadFrom(make([]byte, 10))
	must(t, err)
	if d := time.Since(start); d > 900*time.Millisecond {
		t.Errorf("the first datagram after the heal took %s", d)
	}
}

// While one matrix replaces another, no packet of a pair that both cut passes.
func TestReplaceLeaksNothing(t *testing.T) {
	l := newLab(t, 3)
	a := l.agent(t)
	alice, bob, witness := l.udp(t, 0), l.udp(t, 1), l.udp(t, 2)
	matrices := make([]Matrix, 2)
	for i := range matrices {
		matrices[i] = Matrix{l.pair(0, 1): {Drop: DropAll}}
		for j := range 500 * (i + 1) {
			matrices[i][Pair{addr(j), addr(j + 1)}] = Link{Drop: Drop(1 + j%3), Loss: float64(j % 5)}
		}
	}
	_, err := a.apply(matrices[0], 0)
	must(t, err)

	stop, stopped := make(chan struct{}), make(chan int)
	go func() {
		target := bob.LocalAddr().(*net.UDPAddr).AddrPort()
		for sent := 0; ; sent++ {
			select {
			case <-stop:
				stopped <- sent
				return
			default:
				if _, err := alice.WriteToUDPAddrPort([]byte("leak?"), target); err != nil {
					panic(err)
				}
			}
		}
	}()
	for i := range 200 {
		_, err := a.apply(matrices[i%2], 0)
		must(t, err)
	}
	close(stop)
	sent := <-stopped
	if sent < 1000 {
		t.Fatalf("only %d packets tried to get through", sent)
	}
	if leaked := arrivals(t, alice, bob, 0, 0, quiet(t, witness, bob)); leaked != 0 {
		t.Errorf("%d of %d packets passed in 200 replacements", leaked, sent)
	}
	t.Logf("%d packets, 200 replacements", sent)
}

// A peer that starts is cut from its first packet on, and a peer that was
// killed comes back to its side: rules go by address.
func TestRestartedPeerStaysCut(t *testing.T) {
	l := newLab(t, 3)
	a := l.agent(t)
	cut := partition(l.peers[0].addr, l.peers[1].addr)
	_, err := a.apply(cut, 0)
	must(t, err)
	witness := l.udp(t, 2)
	for round := range 3 {
		l.stop(t, 0)
		l.start(t, 0)
		alice, bob := l.udp(t, 0), l.udp(t, 1)
		if got := arrivals(t, alice, bob, 50, 10, func() {
			// They wait in the peer until it has found the other by ARP.
			eventually(t, "all packets are dropped", func() bool {
				counts, err := a.counters()
				must(t, err)
				return counts[l.pair(0, 1)].Dropped == uint64(50*(round+1))
			})
			quiet(t, witness, bob)()
		}); got != 0 {
			t.Errorf("round %d: %d packets passed", round, got)
		}
		must(t, alice.Close())
		must(t, bob.Close())
	}
}

// eventually waits for what happens without telling.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(fmt.Errorf("it never came about that %s", what))
		}
	}
}

// partition cuts a and b both ways.
func partition(a, b netip.Addr) Matrix {
	return Matrix{{a, b}: {Drop: DropAll}, {b, a}: {Drop: DropAll}}
}
