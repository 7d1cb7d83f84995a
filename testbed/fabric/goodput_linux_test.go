package fabric

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFigureGoodput measures in network namespaces what a link with a rate
// carries, in UDP and over a connection, in per cent of the rate, and what
// becomes of small UDP packets beside the connection. It logs one half of the
// table in docs/engines.md; its namesake in testbed/sim logs the other.
//
// TCPCC names a congestion control other than the host's.
func TestFigureGoodput(t *testing.T) {
	if os.Getenv("PEERLAB_BENCH") == "" {
		t.Skip("measures; PEERLAB_BENCH=1 runs it")
	}
	l := newLab(t, 2)
	a := l.agent(t)
	table := "\n| rate | UDP | TCP | UDP beside TCP: lost | delayed by |\n|---|---|---|---|---|\n"
	for _, rate := range []struct {
		name string
		bits uint64
		took time.Duration
	}{
		{"64kbit", 64_000, 30 * time.Second},
		{"1mbit", 1_000_000, 10 * time.Second},
		{"10mbit", 10_000_000, 5 * time.Second},
		{"100mbit", 100_000_000, 5 * time.Second},
		{"1gbit", 1_000_000_000, 5 * time.Second},
	} {
		limit := func() {
			_, err := a.apply(nil, 0) // what comes next begins with an empty queue
			must(t, err)
			_, err = a.apply(Matrix{l.pair(0, 1): {Shape: Shape{Rate: rate.bits}}}, 0)
			must(t, err)
		}
		share := func(bytes int) float64 { return float64(bytes) * 8 / rate.took.Seconds() / float64(rate.bits) * 100 }

		limit()
		udp := share(l.flood(t, int(rate.bits*3/2), rate.took))

		limit()
		received, stop := l.saturate(t)
		time.Sleep(rate.took)
		tcp := share(int(received.Load()))
		stop()

		limit()
		_, stop = l.saturate(t)
		time.Sleep(time.Second)
		lost, delay := l.ping(t, 50*time.Millisecond, int(rate.took/(50*time.Millisecond)))
		stop()
		table += fmt.Sprintf("| %s | %.1f %% | %.1f %% | %.1f %% | %.0f ms |\n", rate.name, udp, tcp, lost, delay.Seconds()*1000)
	}
	t.Log(table)
}

// flood sends full packets from the first peer to the second at so many bits of
// IP a second, and returns how many bytes of payload arrive in that time.
func (l *lab) flood(t testing.TB, bits int, took time.Duration) (received int) {
	const payload = 1472
	from, to := l.udp(t, 0), l.udp(t, 1)
	stop := time.Now().Add(took)
	sent := make(chan error, 1)
	go func() {
		packet := make([]byte, payload)
		start, n := time.Now(), 0
		for now := start; now.Before(stop); now = time.Now() {
			for due := int(now.Sub(start).Seconds()*float64(bits)/8/1500) + 1; n < due; n++ {
				if _, err := from.WriteTo(packet, to.LocalAddr()); err != nil {
					sent <- err
					return
				}
			}
			time.Sleep(200 * time.Microsecond)
		}
		sent <- nil
	}()
	must(t, to.SetReadDeadline(stop))
	packet := make([]byte, payload)
	for {
		n, err := to.Read(packet)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		must(t, err)
		received += n
	}
	must(t, errors.Join(<-sent, from.Close(), to.Close()))
	return received
}

// saturate connects the first peer to the second and sends without end.
func (l *lab) saturate(t testing.TB) (received *atomic.Int64, stop func()) {
	listener := l.listen(t, 1)
	out, err := l.dial(t, 0, 1, deadline)
	must(t, err)
	if name := os.Getenv("TCPCC"); name != "" {
		raw, err := out.(*net.TCPConn).SyscallConn()
		must(t, err)
		var set error
		must(t, raw.Control(func(fd uintptr) {
			set = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, name)
		}))
		must(t, set)
	}
	in, err := listener.Accept()
	must(t, err)
	received = new(atomic.Int64)
	done := make(chan struct{}, 2)
	go func() {
		for buf := make([]byte, 64<<10); ; {
			if _, err := out.Write(buf); err != nil {
				done <- struct{}{}
				return
			}
		}
	}()
	go func() {
		for buf := make([]byte, 64<<10); ; {
			n, err := in.Read(buf)
			received.Add(int64(n))
			if err != nil {
				done <- struct{}{}
				return
			}
		}
	}()
	return received, func() {
		must(t, out.(*net.TCPConn).SetLinger(0))
		must(t, errors.Join(out.Close(), in.Close(), listener.Close()))
		<-done
		<-done
	}
}

// ping sends n small packets one way and returns the share that was lost, in
// per cent, and how long the others took on average.
func (l *lab) ping(t testing.TB, every time.Duration, n int) (lost float64, mean time.Duration) {
	from, to := l.udp(t, 0), l.udp(t, 1)
	start := time.Now()
	var took time.Duration
	arrived := 0
	done := make(chan struct{})
	must(t, to.SetReadDeadline(start.Add(time.Duration(n)*every+10*time.Second)))
	go func() {
		defer close(done)
		for packet := make([]byte, 100); arrived < n; arrived++ {
			if _, err := to.Read(packet); err != nil {
				return
			}
			var i int
			if _, err := fmt.Sscan(string(packet[:8]), &i); err != nil {
				return
			}
			took += time.Since(start) - time.Duration(i)*every
		}
	}()
	for i := range n {
		time.Sleep(time.Until(start.Add(time.Duration(i) * every)))
		packet := make([]byte, 100)
		copy(packet, fmt.Sprintf("%8d", i))
		_, err := from.WriteTo(packet, to.LocalAddr())
		must(t, err)
	}
	<-done
	must(t, errors.Join(from.Close(), to.Close()))
	return 100 * float64(n-arrived) / float64(n), took / time.Duration(max(arrived, 1))
}
