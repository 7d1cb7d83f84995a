// Package theory predicts from memberlist's formulas how long a cluster takes
// to notice what happens to it, so that a measurement has something to stand
// beside and a test says theory × factor, not a guessed number of seconds.
//
// The predictions are for an idle cluster on a network without loss. What they
// leave out (ticks that do not line up, the wait for the last confirmer, a busy
// host) makes a real cluster 0.2 to 1.2 s slower.
package theory

import (
	"math"
	"time"

	"github.com/hashicorp/memberlist"
)

// Model is a cluster as far as the predictions depend on it: its size and the
// settings of memberlist, by the names they have there. A zero or negative
// value in it predicts nothing useful.
type Model struct {
	Nodes                   int // members, the one that fails included
	ProbeInterval           time.Duration
	IndirectChecks          int
	AwarenessMaxMultiplier  int
	SuspicionMult           int
	SuspicionMaxTimeoutMult int
	RetransmitMult          int
	GossipInterval          time.Duration
	GossipNodes             int
	GossipToTheDeadTime     time.Duration
	PushPullInterval        time.Duration
}

// Of returns the model of a cluster of n nodes that all run with conf.
func Of(conf *memberlist.Config, n int) Model {
	return Model{
		Nodes:                   n,
		ProbeInterval:           conf.ProbeInterval,
		IndirectChecks:          conf.IndirectChecks,
		AwarenessMaxMultiplier:  conf.AwarenessMaxMultiplier,
		SuspicionMult:           conf.SuspicionMult,
		SuspicionMaxTimeoutMult: conf.SuspicionMaxTimeoutMult,
		RetransmitMult:          conf.RetransmitMult,
		GossipInterval:          conf.GossipInterval,
		GossipNodes:             conf.GossipNodes,
		GossipToTheDeadTime:     conf.GossipToTheDeadTime,
		PushPullInterval:        conf.PushPullInterval,
	}
}

// SuspicionMin is how long a suspect has to refute when enough others suspect
// it too.
func (m Model) SuspicionMin() time.Duration {
	scale := max(1, math.Log10(max(1, float64(m.Nodes))))
	// As memberlist computes it: to three decimals.
	return time.Duration(m.SuspicionMult) * time.Duration(scale*1000) * m.ProbeInterval / 1000
}

// SuspicionMax is how long a suspect has to refute when nobody else suspects
// it.
func (m Model) SuspicionMax() time.Duration {
	return time.Duration(m.SuspicionMaxTimeoutMult) * m.SuspicionMin()
}

// Confirmations is how many others must suspect a node too before SuspicionMin
// is enough: memberlist's k, 0 in a cluster too small to have as many.
func (m Model) Confirmations() int {
	if k := m.SuspicionMult - 2; k > 0 && m.Nodes-2 >= k {
		return k
	}
	return 0
}

// SuspicionTimeout is how long a suspect has to refute when c others suspect
// it too.
func (m Model) SuspicionTimeout(c int) time.Duration {
	least, most, k := m.SuspicionMin(), m.SuspicionMax(), m.Confirmations()
	if c >= k {
		return least
	}
	part := math.Log(float64(c)+1) / math.Log(float64(k)+1)
	timeout := most.Seconds() - part*(most.Seconds()-least.Seconds())
	return max(least, time.Duration(math.Floor(1000*timeout))*time.Millisecond)
}

// RetransmitLimit is how often one member repeats a broadcast.
func (m Model) RetransmitLimit() int {
	return m.RetransmitMult * int(math.Ceil(math.Log10(float64(m.Nodes+1))))
}

// MissedByOne is the chance that gossip alone does not bring one piece of news to one
// member, although it reaches all others: each of these sends it RetransmitLimit
// times, in a round to up to GossipNodes members chosen at random, so that it is
// (1 - RetransmitLimit/others)^others where one round is enough. In a large
// cluster it comes to e^-RetransmitLimit, as in Demers and others, Epidemic
// Algorithms for Replicated Database Maintenance (1987), 1.4: the residue of m
// messages per site is e^-m. A push/pull brings what gossip has missed.
func (m Model) MissedByOne() float64 {
	others := m.Nodes - 1
	if others < 1 || m.GossipNodes < 1 {
		return 0
	}
	one := 1.0 // that one of the others leaves it out
	for left := m.RetransmitLimit(); left > 0; {
		chosen := min(left, m.GossipNodes, others)
		one *= 1 - float64(chosen)/float64(others)
		left -= chosen
	}
	return math.Pow(one, float64(others))
}

// scalingNodes is the size up to which memberlist does not stretch
// PushPullInterval.
const scalingNodes = 32

// PushPullPeriod is the time between two full exchanges of state that one
// member starts.
func (m Model) PushPullPeriod() time.Duration {
	if m.Nodes <= scalingNodes {
		return m.PushPullInterval
	}
	times := math.Ceil(math.Log2(float64(m.Nodes))-math.Log2(scalingNodes)) + 1
	return time.Duration(times) * m.PushPullInterval
}

// Spread is how long gossip takes to reach everyone.
func (m Model) Spread() time.Duration { return seconds(m.pittel() * m.GossipInterval.Seconds()) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
