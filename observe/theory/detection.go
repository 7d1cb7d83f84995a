package theory

import "time"

// Band is a duration expected and the bounds it stays within as long as the
// host keeps time.
type Band struct{ Least, Expected, Most time.Duration }

// Contains says whether d lies in the band, with that much grace above it for
// a host that is busy.
func (b Band) Contains(d, grace time.Duration) bool { return d >= b.Least && d <= b.Most+grace }

// probed is when, after a node has gone, the first of the others probes it:
// each probes everyone once in a round of N-1 ticks, in an order shuffled anew
// each round, so that two probes of one node are up to two rounds apart.
func (m Model) probed() Band {
	others := time.Duration(m.Nodes - 1)
	return Band{
		// A probe under way is not answered any more.
		Least:    0,
		Expected: m.ProbeInterval * others / time.Duration(m.Nodes),
		Most:     2 * others * m.ProbeInterval,
	}
}

// After returns b later by d.
func (b Band) After(d time.Duration) Band { return Band{b.Least + d, b.Expected + d, b.Most + d} }

// FirstDead is the time from a crash to the first member that holds the node
// dead. A probe waits for the whole ProbeInterval before it suspects.
func (m Model) FirstDead() Band {
	return m.probed().After(m.ProbeInterval + m.SuspicionMin())
}

// AllDead is the time from a crash until all members hold the node dead, when
// gossip reaches everyone. Where RetransmitLimit is below the number of members
// it may miss one, who then waits for its own suspicion: up to SuspicionMax
// instead of SuspicionMin.
func (m Model) AllDead() Band {
	b := m.FirstDead()
	b.Expected += m.Spread()
	b.Most += m.Spread()
	return b
}

// IsolatedFirst is the time from the cut until a node cut off from everyone
// holds the first of the others dead. Whomever it probes fails, and nobody
// confirms what it suspects.
func (m Model) IsolatedFirst() Band {
	b := m.probed()
	b.Most = m.ProbeInterval
	return b.After(m.ProbeInterval + m.SuspicionTimeout(0))
}

// IsolatedLast is the time from the cut until a node cut off from everyone
// holds all others dead. Each failed probe raises its health score by the
// helpers that did not answer, at least by one, and the score stretches the
// time to the next probe.
func (m Model) IsolatedLast() Band {
	b := m.IsolatedFirst()
	score, worst := 0, m.AwarenessMaxMultiplier-1
	for alive := m.Nodes - 2; alive > 0; alive-- {
		score = min(worst, score+max(1, min(m.IndirectChecks, alive)))
		b = b.After(time.Duration(score+1) * m.ProbeInterval)
	}
	// memberlist probes suspects too: a round shuffled anew may bring all of
	// them up again before the one not probed yet.
	b.Most += time.Duration(m.Nodes-2) * time.Duration(m.AwarenessMaxMultiplier) * m.ProbeInterval
	return b
}

// Forgotten is the time from a member's holding a node dead until it forgets
// it, and with that accepts its name from another address. The table is swept
// when a round of probes ends, over as many members as are alive.
func (m Model) Forgotten(alive int) Band {
	round := time.Duration(alive-1) * m.ProbeInterval
	return Band{Expected: round / 2, Most: 2 * round}.After(m.GossipToTheDeadTime)
}
