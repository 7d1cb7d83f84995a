package theory

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	ms = time.Millisecond
	s  = time.Second
)

func lan(n int) Model   { return Of(memberlist.DefaultLANConfig(), n) }
func local(n int) Model { return Of(memberlist.DefaultLocalConfig(), n) }
func wan(n int) Model   { return Of(memberlist.DefaultWANConfig(), n) }

func TestSuspicion(t *testing.T) {
	tests := []struct {
		name        string
		model       Model
		k           int
		least, most time.Duration
	}{
		{"lan of 1", lan(1), 0, 4 * s, 24 * s},
		{"lan of 3 has too few to confirm", lan(3), 0, 4 * s, 24 * s},
		{"lan of 4", lan(4), 2, 4 * s, 24 * s},
		{"lan of 10", lan(10), 2, 4 * s, 24 * s},
		{"lan of 32", lan(32), 2, 6020 * ms, 36120 * ms},
		{"lan of 100", lan(100), 2, 8 * s, 48 * s},
		{"lan of 1000", lan(1000), 2, 12 * s, 72 * s},
		{"local of 2", local(2), 0, 3 * s, 18 * s},
		{"local of 3", local(3), 1, 3 * s, 18 * s},
		{"local of 5", local(5), 1, 3 * s, 18 * s},
		{"local of 32", local(32), 1, 4515 * ms, 27090 * ms},
		{"wan of 5", wan(5), 0, 30 * s, 180 * s},
		{"wan of 6", wan(6), 4, 30 * s, 180 * s},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.model.Confirmations(); got != test.k {
				t.Errorf("Confirmations() = %d, want %d", got, test.k)
			}
			if got := test.model.SuspicionMin(); got != test.least {
				t.Errorf("SuspicionMin() = %s, want %s", got, test.least)
			}
			if got := test.model.SuspicionMax(); got != test.most {
				t.Errorf("SuspicionMax() = %s, want %s", got, test.most)
			}
		})
	}
}

func TestSuspicionTimeout(t *testing.T) {
	tests := []struct {
		name  string
		model Model
		c     int
		want  time.Duration
	}{
		{"lan unconfirmed", lan(5), 0, 24 * s},
		{"lan confirmed once", lan(5), 1, 11381 * ms},
		{"lan confirmed twice", lan(5), 2, 4 * s},
		{"lan confirmed more than asked", lan(5), 3, 4 * s},
		{"lan too small to confirm", lan(3), 0, 4 * s},
		{"local unconfirmed", local(5), 0, 18 * s},
		{"local confirmed", local(5), 1, 3 * s},
		{"wan confirmed twice of four", wan(6), 2, 77609 * ms},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.model.SuspicionTimeout(test.c); got != test.want {
				t.Errorf("SuspicionTimeout(%d) = %s, want %s", test.c, got, test.want)
			}
		})
	}
}

func TestRetransmitLimit(t *testing.T) {
	for n, want := range map[int]int{1: 4, 5: 4, 9: 4, 10: 8, 99: 8, 100: 12, 1000: 16} {
		if got := lan(n).RetransmitLimit(); got != want {
			t.Errorf("lan of %d: RetransmitLimit() = %d, want %d", n, got, want)
		}
	}
	if got := local(5).RetransmitLimit(); got != 2 {
		t.Errorf("local of 5: RetransmitLimit() = %d, want 2", got)
	}
}

func TestPushPullPeriod(t *testing.T) {
	for n, want := range map[int]time.Duration{5: 30 * s, 32: 30 * s, 33: 60 * s, 64: 60 * s, 65: 90 * s, 100: 90 * s, 1000: 180 * s} {
		if got := lan(n).PushPullPeriod(); got != want {
			t.Errorf("lan of %d: PushPullPeriod() = %s, want %s", n, got, want)
		}
	}
}

// within rounds to what the tables of MEMBERLIST.md show.
func within(t *testing.T, what string, got time.Duration, want float64) {
	t.Helper()
	if diff := got.Seconds() - want; diff > 0.0051 || diff < -0.0051 {
		t.Errorf("%s = %s, want %.2fs", what, got, want)
	}
}

func TestDetection(t *testing.T) {
	tests := []struct {
		name                 string
		model                Model
		first, all, isolated float64
	}{
		{"lan of 3", lan(3), 5.67, 5.90, 5.67},
		{"lan of 5", lan(5), 5.80, 6.14, 25.80},
		{"lan of 10", lan(10), 5.90, 6.39, 25.90},
		{"lan of 32", lan(32), 7.99, 8.72, 38.09},
		{"lan of 100", lan(100), 9.99, 10.96, 49.99},
		{"lan of 1000", lan(1000), 14.00, 15.46, 74.00},
		{"local of 3", local(3), 4.67, 4.78, 19.67},
		{"local of 5", local(5), 4.80, 4.97, 19.80},
		{"local of 10", local(10), 4.90, 5.14, 19.90},
		{"local of 1000", local(1000), 11.00, 11.73, 56.00},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			within(t, "FirstDead", test.model.FirstDead().Expected, test.first)
			within(t, "AllDead", test.model.AllDead().Expected, test.all)
			within(t, "IsolatedFirst", test.model.IsolatedFirst().Expected, test.isolated)
		})
	}
}

func TestIsolatedLast(t *testing.T) {
	// 17 s after the first: probe gaps of 4, 6 and 7 s, as measured with real
	// transports (first 25.4 s, last 42.4 s).
	within(t, "lan of 5", lan(5).IsolatedLast().Expected, 25.8+17)
	within(t, "local of 5", local(5).IsolatedLast().Expected, 19.8+2+3+4)
	within(t, "lan of 2", lan(2).IsolatedLast().Expected, lan(2).IsolatedFirst().Expected.Seconds())
}

func TestBands(t *testing.T) {
	want := map[string][2]Band{
		"FirstDead":     {lan(5).FirstDead(), {5 * s, 5800 * ms, 13 * s}},
		"IsolatedFirst": {local(5).IsolatedFirst(), {19 * s, 19800 * ms, 20 * s}},
		"Forgotten":     {local(5).Forgotten(4), {15 * s, 16500 * ms, 21 * s}},
	}
	for name, b := range want {
		if b[0] != b[1] {
			t.Errorf("%s = %v, want %v", name, b[0], b[1])
		}
	}
	for n := 2; n <= 1000; n++ {
		for _, b := range []Band{lan(n).FirstDead(), lan(n).AllDead(), lan(n).IsolatedFirst(), lan(n).IsolatedLast(), lan(n).Forgotten(n)} {
			if b.Least > b.Expected || b.Expected > b.Most {
				t.Fatalf("%d nodes: %v is not in order", n, b)
			}
		}
	}
	b := Band{Least: 2 * s, Most: 3 * s}
	for d, in := range map[time.Duration]bool{1999 * ms: false, 2 * s: true, 4 * s: true, 4001 * ms: false} {
		if b.Contains(d, s) != in {
			t.Errorf("Contains(%s, 1s) = %t, want %t", d, !in, in)
		}
	}
}

func TestMissedByOne(t *testing.T) {
	for _, test := range []struct {
		name  string
		model Model
		want  float64
	}{
		{"one has nobody to miss", local(1), 0},
		{"of two the other is sent all", local(2), 0},
		{"three are few enough", local(3), 0},
		{"five, twice each", local(5), 1. / 16},
		{"lan of five, four times each", lan(5), math.Pow(.25*.75, 4)},
		{"local of a thousand", local(1000), math.Exp(-8)},
	} {
		if got := test.model.MissedByOne(); math.Abs(got-test.want) > 0.05*test.want {
			t.Errorf("%s: %g, want %g", test.name, got, test.want)
		}
	}
}

// TestMissedByOneIsWhatGossipMisses plays the gossip of one piece of news by itself.
func TestMissedByOneIsWhatGossipMisses(t *testing.T) {
	for _, m := range []Model{local(5), local(9), local(50), {Nodes: 4, RetransmitMult: 1, GossipNodes: 1}} {
		random := rand.New(rand.NewPCG(1, uint64(m.Nodes)))
		missed, all := 0, 0
		for range 40_000 / m.Nodes {
			knows := make([]bool, m.Nodes)
			knows[0] = true
			for queue := []int{0}; len(queue) > 0; queue = queue[1:] {
				for left := m.RetransmitLimit(); left > 0; {
					chosen := min(left, m.GossipNodes, m.Nodes-1)
					for _, to := range random.Perm(m.Nodes - 1)[:chosen] {
						if to >= queue[0] {
							to++
						}
						if !knows[to] {
							knows[to] = true
							queue = append(queue, to)
						}
					}
					left -= chosen
				}
			}
			for _, k := range knows[1:] {
				all++
				if !k {
					missed++
				}
			}
		}
		got, want := float64(missed)/float64(all), m.MissedByOne()
		t.Logf("%d members, RetransmitMult %d: misses %.4f, by the formula %.4f", m.Nodes, m.RetransmitMult, got, want)
		if got < 0.8*want || got > 2*want { // who is missed does not send either
			t.Errorf("%d members, RetransmitMult %d: misses %.4f, by the formula %.4f", m.Nodes, m.RetransmitMult, got, want)
		}
	}
}
