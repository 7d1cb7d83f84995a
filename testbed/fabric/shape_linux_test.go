package fabric

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// probes runs a probe in each peer's namespace.
func (l *lab) probes(t testing.TB) map[netip.Addr]*Prober {
	t.Helper()
	probers := make(map[netip.Addr]*Prober)
	for _, p := range l.peers {
		var probe *Probe
		within(t, p.ns, func() (err error) {
			probe, err = NewProbe(ProbePort)
			return err
		})
		probe.within = func(open func()) {
			within(t, p.ns, func() error {
				open()
				return nil
			})
		}
		requests, ask := io.Pipe()
		replies, answer := io.Pipe()
		served := make(chan error, 1)
		go func() { served <- errors.Join(probe.Serve(context.Background(), requests, answer), answer.Close()) }()
		prober := NewProber(stream{replies, ask})
		probers[p.addr] = prober
		t.Cleanup(func() { must(t, errors.Join(prober.Close(), <-served, probe.Close())) })
	}
	return probers
}

// stream is two pipes.
type stream struct {
	io.Reader
	io.WriteCloser
}

// require skips a test of what the kernel lacks: the virtual machine has it.
func require(t *testing.T, a *Agent, m Matrix) {
	t.Helper()
	features, err := a.listFeatures()
	must(t, err)
	if err := m.CheckFeatures(features); err != nil {
		if os.Getenv(insideVM) != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// within5 is within five standard deviations of n happenings of chance p.
func within5(t *testing.T, what string, got, n int, p float64) {
	t.Helper()
	least, most := between(n, p)
	if float64(got) < least || float64(got) > most {
		t.Errorf("%d of %d packets %s, want %.0f to %.0f", got, n, what, least, most)
	}
}

// delays measures how long each of n packets takes; all must arrive.
func delays(t *testing.T, probers map[netip.Addr]*Prober, pair Pair, n int) []time.Duration {
	t.Helper()
	_, err := probers[pair.From].ask(t.Context(), request{Send: &sendRequest{To: pair.To, Flow: 1, Count: n, Pause: time.Millisecond}})
	must(t, err)
	got, err := probers[pair.To].ask(t.Context(), request{Collect: &collectRequest{Flow: 1, Want: n, Patience: deadline}})
	must(t, err)
	if len(got.Arrivals) != n {
		t.Fatalf("%d of %d packets arrived", len(got.Arrivals), n)
	}
	var took []time.Duration
	for _, a := range got.Arrivals {
		took = append(took, time.Duration(a.At-a.Sent))
	}
	return took
}

// Each effect of netem and tbf is measured against what was asked for.
func TestShape(t *testing.T) {
	l := newLab(t, 3)
	a := l.agent(t)
	probers := l.probes(t)
	for _, test := range []struct {
		name  string
		shape Shape
		check func(t *testing.T, r Measurement)
	}{
		{"delay", Shape{Delay: 50 * time.Millisecond}, func(t *testing.T, r Measurement) {
			if r.Arrived != r.Sent || r.Least < 50*time.Millisecond || r.Median > 55*time.Millisecond {
				t.Errorf("want all after 50 to 55 ms")
			}
		}},
		{"jitter", Shape{Delay: 100 * time.Millisecond, Jitter: 40 * time.Millisecond}, func(t *testing.T, r Measurement) {
			const n = 400
			var mean, low float64
			delays := delays(t, probers, l.pair(0, 1), n)
			for _, d := range delays {
				mean += d.Seconds() / n
				if d < 90*time.Millisecond {
					low++
				}
				if d < 59*time.Millisecond || d > 150*time.Millisecond {
					t.Errorf("a packet took %s, want 60 to 140 ms", d)
				}
			}
			t.Logf("measured a mean of %.1f ms, %.0f of %d below 90 ms", mean*1e3, low, n)
			// The mean of n values spread evenly over ± 40 ms.
			if bound := 5 * 0.040 / math.Sqrt(3*n); math.Abs(mean-0.1) > bound+0.002 {
				t.Errorf("%.1f ms on average, want 100 ± %.1f", mean*1e3, bound*1e3)
			}
			within5(t, "took less than 90 ms", int(low), n, 3.0/8)
			if r.Overtaken == 0 {
				t.Errorf("none overtaken: packets 1 ms apart have 40 ms of jitter")
			}
		}},
		{"reorder", Shape{Delay: 50 * time.Millisecond, Reorder: 25}, func(t *testing.T, r Measurement) {
			if r.Overtaken == 0 || r.Least > 5*time.Millisecond || r.Most < 50*time.Millisecond {
				t.Errorf("want some at once, the others after 50 ms and overtaken")
			}
			const n = 400
			early := 0
			for _, d := range delays(t, probers, l.pair(0, 1), n) {
				if d < 25*time.Millisecond {
					early++
				}
			}
			t.Logf("measured %d of %d packets sent at once", early, n)
			within5(t, "were sent at once", early, n, 0.25)
		}},
		{"duplicate", Shape{Duplicate: 20}, func(t *testing.T, r Measurement) {
			within5(t, "arrived twice", r.Duplicated, r.Sent, 0.2)
		}},
		{"corrupt", Shape{Corrupt: 30}, func(t *testing.T, r Measurement) {
			within5(t, "arrived whole", r.Arrived, r.Sent, 0.7)
		}},
		{"rate", Shape{Rate: 2_000_000}, func(t *testing.T, r Measurement) {
			// A busy host looks at the bucket late, and what has run over by then is lost.
			if r.Rate < 1e6 || r.Rate > 2.2e6 {
				t.Errorf("%d bit/s, want 2,000,000, 10 %% more at most", r.Rate)
			}
		}},
		{"rate and delay", Shape{Rate: 1_000_000, Delay: 100 * time.Millisecond}, func(t *testing.T, r Measurement) {
			if r.Rate < 0.5e6 || r.Rate > 1.1e6 || r.Least < 100*time.Millisecond {
				t.Errorf("want 1,000,000 bit/s, 10 %% more at most, after 100 ms")
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := Matrix{l.pair(0, 1): {Shape: test.shape}}
			require(t, a, m)
			_, err := a.apply(m, 0)
			must(t, err)
			results, err := m.Measure(t.Context(), probers, []Pair{l.pair(0, 1), l.pair(1, 0), l.pair(2, 1)})
			must(t, err)
			t.Logf("measured %+v", results[0])
			test.check(t, results[0])
			for _, r := range results {
				if err := m.Check(r, nil); err != nil {
					t.Error(err)
				}
			}
			for _, r := range results[1:] {
				if r.Arrived != r.Sent || r.Median > 5*time.Millisecond {
					t.Errorf("a link that was left alone: %+v", r)
				}
			}
		})
	}
	must(t, a.clear())
	h := handle(t, l.host)
	qdiscs, err := h.QdiscList(link(t, h, l.peers[1].port))
	must(t, err)
	for _, q := range qdiscs {
		if q.Type() != "noqueue" {
			t.Errorf("%s is left", q.Type())
		}
	}
}

// Fifty links with a shape share a queue at each destination; one with a rate
// has its own.
func TestShapesShareQueues(t *testing.T) {
	l := newLab(t, 4)
	a := l.agent(t)
	m := make(Matrix)
	for i := range 3 {
		m[l.pair(i, 3)] = Link{Shape: Shape{Delay: time.Millisecond}}
	}
	require(t, a, m)
	_, err := a.apply(m, 0)
	must(t, err)
	count := func() (n int) {
		for _, classes := range a.shaper.ports {
			n += len(classes)
		}
		return n
	}
	if n := count(); n != 1 {
		t.Errorf("%d queues for three links of one shape", n)
	}
	for pair := range m {
		m[pair] = Link{Shape: Shape{Rate: 1e6}}
	}
	_, err = a.apply(m, 0)
	must(t, err)
	if n := count(); n != 3 {
		t.Errorf("%d queues for three links with a rate", n)
	}
}

// A link that is to be shaped passes nothing until it is, whenever its peer
// starts: counted, packet by packet.
func TestNothingPassesUnshaped(t *testing.T) {
	l := newLab(t, 3)
	a := l.agent(t)
	shape := Shape{Rate: 8_000_000}
	m := Matrix{l.pair(0, 1): {Shape: shape}}
	require(t, a, m)

	l.stop(t, 1)
	_, err := a.apply(m, 0)
	must(t, err)
	if s := a.status(); s.Waiting != 1 {
		t.Errorf("%d links wait for their peer, want 1", s.Waiting)
	}
	for round := range 3 {
		var alice, bob, witness *net.UDPConn
		func() {
			// With the agent held back the peer starts and receives nothing …
			a.mu.Lock()
			defer a.mu.Unlock()
			l.start(t, 1)
			alice, bob, witness = l.udp(t, 0), l.udp(t, 1), l.udp(t, 2)
			meet(t, bob, witness)
			before := counted(t, a, l.pair(0, 1)).Dropped
			if got := arrivals(t, alice, bob, 20, 100, func() {
				eventually(t, "all packets are dropped", func() bool {
					return counted(t, a, l.pair(0, 1)).Dropped == before+20
				})
				quiet(t, witness, bob)()
			}); got != 0 {
				t.Errorf("round %d: %d packets passed before the link was shaped", round, got)
			}
		}()
		// … and once it is let go, the link is shaped without being told.
		eventually(t, "the link is shaped", func() bool { return a.status().Waiting == 0 })
		if got := arrivals(t, alice, bob, 20, 100, func() {
			_, err := alice.WriteTo([]byte{0}, bob.LocalAddr()) // in the same queue
			must(t, err)
		}); got != 20 {
			t.Errorf("round %d: %d of 20 packets passed the shaped link", round, got)
		}
		must(t, errors.Join(alice.Close(), bob.Close(), witness.Close()))
		l.stop(t, 1)
		eventually(t, "the agent has seen the peer end", func() bool { return a.status().Waiting == 1 })
	}
}

// counted reads a pair's counters, past the agent's lock.
func counted(t *testing.T, a *Agent, pair Pair) Count {
	t.Helper()
	counts, err := a.table.counters()
	must(t, err)
	return counts[pair]
}

// Where a kernel allows one netem that duplicates, and no other beside it, the
// queues of the matrix before make room for it.
func TestDuplicateTakesTurns(t *testing.T) {
	l := newLab(t, 3)
	a := l.agent(t)
	late := Link{Shape: Shape{Delay: time.Millisecond}}
	twice := Link{Shape: Shape{Duplicate: 50}}
	require(t, a, Matrix{l.pair(0, 1): late})
	for _, m := range []Matrix{{l.pair(0, 1): late}, {l.pair(0, 1): twice}, {l.pair(0, 1): late, l.pair(2, 1): late}, {l.pair(2, 1): twice}} {
		_, err := a.apply(m, 0)
		must(t, err)
		if s := a.status(); s.Waiting != 0 {
			t.Errorf("%v: %d links are not shaped", m, s.Waiting)
		}
	}
	// Both at a time: older kernels can, newer ones must say so and change nothing.
	_, err := a.apply(Matrix{l.pair(0, 1): late, l.pair(2, 1): twice}, 0)
	if err != nil && (!errors.Is(err, errDuplicate) || len(a.status().Matrix) != 1) {
		t.Errorf("%v, in force: %v", err, a.status().Matrix)
	}
}

// What the kernel cannot do is told before anything is applied.
func TestMissingFeature(t *testing.T) {
	l := newLab(t, 2)
	a := l.agent(t)
	before := Matrix{l.pair(0, 1): {Drop: DropAll}}
	_, err := a.apply(before, 0)
	must(t, err)
	a.features = []Feature{{Name: schNetem, For: "delay", Missing: "made up"}}
	_, err = a.apply(Matrix{l.pair(1, 0): {Drop: DropUDP}, l.pair(0, 1): {Shape: Shape{Delay: 1}}}, 0)
	if want := "the kernel lacks sch_netem, needed for delay: made up"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if now := a.status().Matrix; len(now) != 1 || now[l.pair(0, 1)].Drop != DropAll {
		t.Errorf("in force: %v", now)
	}
}

// TestLossThatTheKernelLacks asks for what a rule needs and the kernel lacks: the
// agent names it before it tries.
func TestLossThatTheKernelLacks(t *testing.T) {
	l := newLab(t, 0)
	a := l.agent(t)
	features, err := a.listFeatures()
	must(t, err)
	for i := range features {
		if features[i].Name == nftNumgen {
			features[i].Missing = "made up"
		}
	}
	for _, link := range []Link{{Loss: 3}, {Every: 3}} {
		_, err := a.apply(Matrix{Pair{alice, bob}: link}, 0)
		if err == nil || !strings.Contains(err.Error(), "nft_numgen, needed for loss, every: made up") {
			t.Errorf("%s: %v", link, err)
		}
	}
	if _, err := a.apply(Matrix{Pair{alice, bob}: {Drop: DropAll, Over: 1000}}, 0); err != nil {
		t.Error(err)
	}
}
