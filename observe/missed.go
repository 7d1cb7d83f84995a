package observe

import (
	"fmt"
	"math"

	"peerlab/observe/theory"
)

// Unheard returns the members that run and that observer does not know, by name:
// those that are in a membership, know themselves, and are not paused. It is empty
// for an observer that knows nobody else, and so has not joined.
func (v *View) Unheard(observer string) (members []string) {
	if v.Count(observer, Alive) < 2 {
		return nil
	}
	for _, name := range v.peers {
		if name != observer && v.Runs(name) && !v.Paused(name) && v.State(name, name) == Alive && v.State(observer, name) == Unknown {
			members = append(members, name)
		}
	}
	return members
}

// amplest is a RetransmitMult with which gossip hardly ever misses anybody: that
// of memberlist's profiles lan and wan.
const amplest = 4

// WhyUnheard says, a sentence for each, why a member of a cluster can be without
// news that all others have, when it gets it, and with which RetransmitMult that
// hardly happens.
func WhyUnheard(m theory.Model) (chance, next, instead string) {
	chance = fmt.Sprintf("gossip misses a member with a piece of news in %s of cases: with RetransmitMult=%d each of %d sends it %s, to some of the others",
		percent(m.MissedByOne()), m.RetransmitMult, m.Nodes, times(m.RetransmitLimit()))
	next = "no push/pull brings it: PushPullInterval is 0"
	if every := m.PushPullPeriod(); every > 0 {
		next = fmt.Sprintf("the next push/pull brings it: each peer starts its first within %s and %s of its beginning, and one every %s after that", every, 2*every, every)
	}
	more := m
	more.RetransmitMult = max(amplest, 2*m.RetransmitMult)
	instead = fmt.Sprintf("RetransmitMult=%d, with which it is %s", more.RetransmitMult, percent(more.MissedByOne()))
	return chance, next, instead
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

// percent writes a share with two digits that count.
func percent(share float64) string {
	p := 100 * share
	if p == 0 || p < 0.001 {
		return "less than 0.001 %"
	}
	digits := max(0, 1-int(math.Floor(math.Log10(p))))
	return fmt.Sprintf("%.*f %%", digits, p)
}
