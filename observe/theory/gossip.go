package theory

import (
	"math"
	"math/big"
	"time"
)

// Everyone to whom a piece of news is news gossips it on, each as often as
// RetransmitLimit says and then never again. So whether all hear of it is
// decided by whom those who hear of it happen to choose.

// pittel is how many rounds of gossip it takes until all know a piece of news,
// in a large cluster in which nobody stops passing it on: ln N/ln(F+1) to reach
// most, each round making F+1 of one, and ln N/F for the last ones. This is
// Pittel, "On Spreading a Rumor", SIAM J. Appl. Math. 47 (1987), for F = 1, as it
// is generalised to F choices in a round.
func (m Model) pittel() float64 {
	n, f := float64(m.Nodes), float64(m.GossipNodes)
	return math.Log(n)/math.Log(f+1) + math.Log(n)/f
}

// oneRound says whether one round of gossip reaches everybody. Only then is
// Missed 0.
func (m Model) oneRound() bool {
	return m.GossipNodes >= m.Nodes-1 && m.RetransmitLimit() >= m.Nodes-1
}

// rounds is how many rounds of gossip it takes until all know a piece of news.
func (m Model) rounds() float64 {
	if m.oneRound() {
		return 1
	}
	return m.pittel()
}

// FirstTold is the time from a piece of news until the first of the others has
// it: until its author gossips next. Most has half an interval for the network
// and the host.
func (m Model) FirstTold() Band {
	return Band{Expected: m.GossipInterval / 2, Most: m.GossipInterval * 3 / 2}
}

// AllTold is the time from a piece of news until all others have it. Expected
// are the rounds of Pittel's formula, the first of which comes half an interval
// early in the mean. Whom gossip misses waits for a push/pull of its own, up to
// PushPullPeriod, and with no such gossip is all there is.
func (m Model) AllTold() Band {
	b := Band{Expected: seconds((m.rounds() - 0.5) * m.GossipInterval.Seconds()), Most: m.GossipEnd()}
	if !m.oneRound() {
		b.Most += m.PushPullPeriod()
	}
	b.Expected = min(b.Expected, b.Most)
	return b
}

// GossipEnd is after how long nobody gossips a piece of news any more: one after
// the other has heard of it from the one before, with its last packet. Half an
// interval is for the network and the host.
func (m Model) GossipEnd() time.Duration {
	each := (m.RetransmitLimit() + m.targets() - 1) / max(m.targets(), 1)
	return time.Duration(max(m.Nodes-1, 1)*max(each, 1))*m.GossipInterval + m.GossipInterval/2
}

// Rounds is AllTold in rounds of gossip, begun ones among them.
func (m Model) Rounds() (least, expected, most float64) {
	interval := m.GossipInterval.Seconds()
	return 1, m.rounds(), max(m.rounds(), math.Ceil(m.AllTold().Most.Seconds()/interval))
}

// targets is how many members get a packet from one of them in a round.
func (m Model) targets() int { return max(min(m.GossipNodes, m.Nodes-1), 0) }

// maxMissed bounds the nodes for which Missed is exact: it takes their square.
const maxMissed = 100

// Missed is the probability that gossip of one piece of news misses somebody, on
// a network that loses nothing. It is exact for up to 100 nodes, and above that
// an approximation.
//
// A member sends its L = RetransmitLimit packets in rounds, to F different
// members in each, chosen at random. All of them go into a given set of s
// members, of which it is one, with the probability
//
//	f(s) = (C(s-1,F)/C(N-1,F))^(L div F) * C(s-1,L mod F)/C(N-1,L mod F)
//
// The news reaches exactly a given set with the probability r(s). Nothing leaves
// that set; and if nothing leaves it, some part of it that nothing leaves either
// is what was reached:
//
//	f(s)^s = sum over t = 1..s of C(s-1,t-1) * r(t) * f(s)^(s-t)
//
// That gives r(1), r(2), … one after the other, and Missed is 1 - r(N).
func (m Model) Missed() float64 {
	limit, targets := m.RetransmitLimit(), m.targets()
	switch {
	case m.Nodes < 2:
		return 0
	case limit < 1 || targets < 1:
		return 1
	case m.Nodes > maxMissed:
		// Each of N-1 is missed by about N*L packets, independently.
		return -math.Expm1(-float64(m.Nodes-1) * math.Exp(-float64(limit)))
	}
	n := m.Nodes
	// The terms nearly cancel, by a factor of up to 2^N.
	precision := uint(2*n + 128)
	number := func(v float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(v) }
	// within is C(s-1,k)/C(N-1,k).
	within := func(s, k int) *big.Float {
		p := number(1)
		for i := range k {
			if s-1-i <= 0 {
				return number(0)
			}
			p.Mul(p, number(float64(s-1-i)))
			p.Quo(p, number(float64(n-1-i)))
		}
		return p
	}
	reached := make([]*big.Float, n+1) // r by the size of the set
	choose := make([]*big.Float, n+1)  // C(s-1,t-1) by t
	for s := 1; s <= n; s++ {
		choose[s] = number(1)
		for t := s - 1; t > 1; t-- {
			choose[t].Add(choose[t], choose[t-1])
		}
		round, f := within(s, targets), number(1)
		for range limit / targets {
			f.Mul(f, round)
		}
		f.Mul(f, within(s, limit%targets))
		power := number(1) // f(s)^(s-t)
		r := number(0)
		for t := s - 1; t >= 1; t-- {
			power.Mul(power, f)
			term := new(big.Float).SetPrec(precision).Mul(choose[t], reached[t])
			r.Sub(r, term.Mul(term, power))
		}
		power.Mul(power, f)
		reached[s] = r.Add(r, power)
	}
	missed, _ := number(1).Sub(number(1), reached[n]).Float64()
	return min(max(missed, 0), 1)
}

// MissedOf is how many of so many pieces of news are missed by somebody: within
// Least and Most in 998 of 1,000 cases, by the binomial distribution.
func (m Model) MissedOf(news int) (least, expected, most float64) {
	p := m.Missed()
	lower, _ := math.Lgamma(float64(news + 1))
	sum := 0.0
	least, most = -1, float64(news)
	for k := 0; k <= news; k++ {
		a, _ := math.Lgamma(float64(k + 1))
		b, _ := math.Lgamma(float64(news - k + 1))
		sum += math.Exp(lower - a - b + times(k, math.Log(p)) + times(news-k, math.Log1p(-p)))
		if least < 0 && sum > 0.001 {
			least = float64(k)
		}
		if sum >= 0.999 {
			most = float64(k)
			break
		}
	}
	return max(least, 0), p * float64(news), most
}

// times is k*v, and 0 for no v however infinite that is.
func times(k int, v float64) float64 {
	if k == 0 {
		return 0
	}
	return float64(k) * v
}
