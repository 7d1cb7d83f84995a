package theory

import (
	"math"
	"math/rand/v2"
	"testing"
)

func gossiping(nodes, mult, targets int) Model {
	m := local(nodes)
	m.RetransmitMult, m.GossipNodes = mult, targets
	return m
}

func TestMissed(t *testing.T) {
	for _, test := range []struct {
		name  string
		model Model
		want  float64
	}{
		// By hand: f(2) = 1/3, f(3) = 2/3, so r(2) = 1/9 and r(3) = 8/27-4/27.
		{"a chain of four", gossiping(4, 1, 1), 7. / 9},
		{"three packets, one at a time, among four", gossiping(4, 3, 1), 1 - (1 - 3./729 - 3*(math.Pow(8./27, 3)-2./729*8/27))},
		{"one round reaches all of four", gossiping(4, 3, 3), 0},
		{"two of three others, and one more", gossiping(4, 3, 2), 3 * math.Pow(2./9, 3)},
		{"the local profile among five", local(5), 0.25},
		{"two", gossiping(2, 1, 1), 0},
		{"one", gossiping(1, 1, 1), 0},
		{"nobody is told", gossiping(4, 1, 0), 1},
	} {
		if got := test.model.Missed(); math.Abs(got-test.want) > 1e-6 {
			t.Errorf("%s: Missed() = %.7f, want %.7f", test.name, got, test.want)
		}
	}
}

// What is computed is what happens when it is tried.
func TestMissedBySimulation(t *testing.T) {
	const tries = 5_000
	r := rand.New(rand.NewPCG(1, 2))
	for _, m := range []Model{gossiping(4, 2, 1), gossiping(5, 2, 3), gossiping(7, 3, 2), gossiping(12, 1, 1), gossiping(30, 1, 2)} {
		missed := 0
		for range tries {
			if !reachesAll(r, m) {
				missed++
			}
		}
		got, want := float64(missed)/tries, m.Missed()
		if deviation := math.Sqrt(want * (1 - want) / tries); math.Abs(got-want) > 5*deviation {
			t.Errorf("%d nodes, RetransmitMult %d, GossipNodes %d: %.4f, computed %.4f ± %.4f", m.Nodes, m.RetransmitMult, m.GossipNodes, got, want, deviation)
		}
	}
}

// reachesAll gossips one piece of news.
func reachesAll(r *rand.Rand, m Model) bool {
	knows := map[int]bool{0: true}
	for queue := []int{0}; len(queue) > 0; queue = queue[1:] {
		for left := m.RetransmitLimit(); left > 0; left -= m.targets() {
			told := 0
			for _, other := range r.Perm(m.Nodes) {
				if other == queue[0] || told == min(left, m.targets()) {
					continue
				}
				told++
				if !knows[other] {
					knows[other] = true
					queue = append(queue, other)
				}
			}
		}
	}
	return len(knows) == m.Nodes
}

// Neither many nodes nor many packets spoil the arithmetic.
func TestMissedStaysAProbability(t *testing.T) {
	for _, n := range []int{3, 10, maxMissed, maxMissed + 1, 5000} {
		for _, mult := range []int{1, 1000} {
			for _, targets := range []int{1, 3, 1000} {
				p := gossiping(n, mult, targets).Missed()
				if math.IsNaN(p) || p < 0 || p > 1 {
					t.Errorf("%d nodes, %d, %d: %g", n, mult, targets, p)
				}
			}
		}
	}
	if a, b := gossiping(maxMissed, 2, 1).Missed(), gossiping(maxMissed+1, 2, 1).Missed(); math.Abs(a-b) > 0.02 {
		t.Errorf("exact %g, approximated %g", a, b)
	}
}

// Only where one round reaches everybody does gossip never miss anybody.
func TestNobodyIsMissedInOneRound(t *testing.T) {
	for n := 1; n < 12; n++ {
		for mult := range 5 {
			for targets := range 12 {
				if m := gossiping(n, mult, targets); (m.Missed() == 0) != m.oneRound() {
					t.Errorf("%d nodes, %d, %d: %g", n, mult, targets, m.Missed())
				}
			}
		}
	}
}

// AllTold is asked for each piece of news, and must not take as long as Missed.
func BenchmarkAllTold(b *testing.B) {
	m := gossiping(maxMissed, 2, 3)
	for b.Loop() {
		m.AllTold()
	}
}

func TestMissedOf(t *testing.T) {
	least, expected, most := gossiping(4, 1, 1).MissedOf(200)
	if math.Abs(expected-155.556) > 0.001 || least < 130 || least > 142 || most < 170 || most > 178 {
		t.Errorf("%g of 200, %g to %g", expected, least, most)
	}
	for _, none := range []Model{gossiping(4, 3, 3), gossiping(4, 1, 0)} {
		least, expected, most := none.MissedOf(200)
		if least != expected || most != expected {
			t.Errorf("%g, %g to %g", expected, least, most)
		}
	}
}

func TestTold(t *testing.T) {
	for _, n := range []int{2, 3, 4, 5, 9, 10, 33, 200} {
		for _, m := range []Model{local(n), lan(n), wan(n), gossiping(n, 1, 1)} {
			for _, b := range []Band{m.FirstTold(), m.AllTold()} {
				if b.Least > b.Expected || b.Expected > b.Most {
					t.Fatalf("%d nodes: %v is not in order", n, b)
				}
			}
		}
	}
	if got, want := gossiping(4, 3, 3).AllTold(), (Band{Expected: 50 * ms, Most: 350 * ms}); got != want {
		t.Errorf("local of 4: %v, want %v", got, want)
	}
	if got := gossiping(4, 3, 1).AllTold(); got.Most != 15*s+950*ms {
		t.Errorf("one at a time: %v", got)
	}
}
