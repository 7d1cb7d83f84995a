package sim

import (
	"fmt"
	"net"
	"testing"
	"time"

	"peerlab/testbed"
)

// A full packet has 1,514 bytes on the link, of which UDP carries 1,472 and TCP
// 1,448.
const (
	udpShare = 100 * 1472. / 1514
	tcpShare = 100 * 1448. / 1514
)

// TestFigureGoodput: a link with a rate carries that, in UDP and over a
// connection, whether that stood before the link had a rate or not and whatever
// changes elsewhere, and lets small packets pass beside it. It logs the table of
// docs/engines.md, whose other half its namesake in testbed/fabric measures.
func TestFigureGoodput(t *testing.T) {
	table := "\n| rate | UDP | TCP | UDP beside TCP: lost | delayed by |\n|---|---|---|---|---|\n"
	for _, rate := range []struct {
		name string
		bits uint64
		took time.Duration
	}{
		{"64kbit", 64_000, 30 * time.Second},
		{"1mbit", 1_000_000, 10 * time.Second},
		{"10mbit", 10_000_000, 5 * time.Second},
		{"100mbit", 100_000_000, 2 * time.Second},
		{"1gbit", 1_000_000_000, time.Second},
	} {
		if testing.Short() && rate.bits > 100_000_000 { // most of the time goes into this one
			continue
		}
		limit := testbed.Link{Shape: testbed.Shape{Rate: rate.bits}}
		share := func(bytes int) float64 { return float64(bytes) * 8 / rate.took.Seconds() / float64(rate.bits) * 100 }
		// What the bucket holds in the beginning counts, too, and weighs little.
		check := func(t *testing.T, got, want float64) {
			t.Helper()
			if got < 0.97*want || got > 1.03*want {
				t.Errorf("%.1f %% of the rate arrive, want %.1f %%", got, want)
			}
		}
		var udp, tcp, lost float64
		var delay time.Duration
		t.Run("udp/"+rate.name, func(t *testing.T) {
			between(t, limit, func(t *testing.T, p pair) {
				udp = share(p.flood(t, rate.bits*3/2, rate.took))
				check(t, udp, udpShare)
			})
		})
		t.Run("tcp/"+rate.name, func(t *testing.T) {
			between(t, limit, func(t *testing.T, p pair) {
				tcp = share(p.saturate(t, func() { time.Sleep(rate.took) }))
				check(t, tcp, tcpShare)
			})
		})
		t.Run("tcp that stood before/"+rate.name, func(t *testing.T) {
			between(t, testbed.Link{}, func(t *testing.T, p pair) {
				check(t, share(p.saturate(t, func() {
					p.links(testbed.Links{{From: "a", To: "b"}: limit})
					time.Sleep(rate.took)
				})), tcpShare)
			})
		})
		t.Run("tcp while other links change/"+rate.name, func(t *testing.T) {
			between(t, limit, func(t *testing.T, p pair) {
				check(t, share(p.saturate(t, func() {
					for i := range 1000 {
						time.Sleep(rate.took / 1000)
						p.links(testbed.Links{{From: "a", To: "b"}: limit, {From: "b", To: "c"}: {Loss: float64(i % 2)}})
					}
				})), tcpShare)
			})
		})
		t.Run("udp beside tcp/"+rate.name, func(t *testing.T) {
			between(t, limit, func(t *testing.T, p pair) {
				p.saturate(t, func() {
					time.Sleep(time.Second)
					lost, delay = p.ping(t, 50*time.Millisecond, int(rate.took/(50*time.Millisecond)))
				})
				if lost > 10 {
					t.Errorf("%.1f %% of the small packets are lost", lost)
				}
			})
		})
		table += fmt.Sprintf("| %s | %.1f %% | %.1f %% | %.1f %% | %.0f ms |\n", rate.name, udp, tcp, lost, delay.Seconds()*1000)
	}
	t.Log(table)
}

// flood sends full packets from a to b at so many bits of IP a second, and
// returns how many bytes of payload arrive in that time.
func (p pair) flood(t *testing.T, bits uint64, took time.Duration) (received int) {
	t.Helper()
	packet := make([]byte, 1472)
	start := time.Now()
	for n := 0; time.Since(start) < took; n++ {
		if _, err := p.ta.WriteTo(packet, "10.0.0.2:7946"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(start.Add(time.Duration(float64(n+1) * 1500 * 8 / float64(bits) * float64(time.Second)))))
		for len(p.tb.packets) > 0 {
			received += len((<-p.tb.packets).Buf)
		}
	}
	return received
}

// saturate connects a to b, sends without end while f runs, and returns how
// many bytes b has read by then.
func (p pair) saturate(t *testing.T, f func()) (received int) {
	t.Helper()
	a, b := p.stream(t)
	go func() {
		for buf := make([]byte, 64<<10); ; {
			if _, err := a.Write(buf); err != nil {
				return
			}
		}
	}()
	done := make(chan int)
	go func(b net.Conn) {
		total := 0
		for buf := make([]byte, 64<<10); ; {
			n, err := b.Read(buf)
			total += n
			if err != nil {
				done <- total
				return
			}
		}
	}(b)
	f()
	_ = b.SetReadDeadline(time.Now())
	received = <-done
	_, _ = a.Close(), b.Close()
	return received
}

// ping sends n small packets from a to b and returns the share that was lost, in
// per cent, and how long the others took on average.
func (p pair) ping(t *testing.T, every time.Duration, n int) (lost float64, mean time.Duration) {
	t.Helper()
	start := time.Now()
	took, arrived := time.Duration(0), 0
	collect := func() {
		for ; len(p.tb.packets) > 0; arrived++ {
			m := <-p.tb.packets
			took += m.Timestamp.Sub(start) - time.Duration(m.Buf[0])*every - time.Duration(m.Buf[1])*every*256
		}
	}
	for i := range n {
		packet := make([]byte, 100)
		packet[0], packet[1] = byte(i), byte(i>>8)
		if _, err := p.ta.WriteTo(packet, "10.0.0.2:7946"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(every)
		collect()
	}
	time.Sleep(2 * time.Second)
	collect()
	return 100 * float64(n-arrived) / float64(n), took / time.Duration(max(arrived, 1))
}
