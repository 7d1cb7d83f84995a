package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/fabric"
)

// datagrams bounds how many are sent to measure one change of links: those of
// some 200 links, a few tens of milliseconds of this host's time. More links
// measured are more entries in the table of neighbors, of which a host has
// 1,024 for all its containers unless told otherwise (gc_thresh3).
const datagrams = 4_000

// Verification measures, when all is prepared, whether links do as they should.
type Verification struct {
	set     *Set
	history *testbed.History
	matrix  fabric.Matrix
	pairs   []fabric.Pair
	peers   map[netip.Addr]dockerd.Member
	probers map[netip.Addr]*fabric.Prober
}

// Prepare chooses the pairs to be measured when links change and starts what
// measures them.
func (s *Set) Prepare(ctx context.Context, history *testbed.History, members []dockerd.Member, from, to fabric.Matrix) (*Verification, error) {
	v := &Verification{set: s, history: history, matrix: to, peers: make(map[netip.Addr]dockerd.Member)}
	for _, m := range running(members) {
		v.peers[m.Addr] = m
	}
	v.pairs = sample(to, v.changed(from), datagrams)
	var ends []dockerd.Member
	seen := make(map[netip.Addr]bool)
	for _, pair := range v.pairs {
		if !seen[pair.From] { // the way back is a pair, too
			seen[pair.From] = true
			ends = append(ends, v.peers[pair.From])
		}
	}
	if len(ends) == 0 {
		return v, nil
	}
	var err error
	v.probers, err = s.Probers(ctx, ends)
	v.pairs = slices.DeleteFunc(v.pairs, func(p fabric.Pair) bool { return v.probers[p.From] == nil || v.probers[p.To] == nil })
	return v, err
}

// changed returns the pairs of running peers whose link changes in at least
// one direction: each in both, one after the other.
func (v *Verification) changed(from fabric.Matrix) []fabric.Pair {
	var pairs []fabric.Pair
	seen := make(map[fabric.Pair]bool)
	for _, m := range [...]fabric.Matrix{from, v.matrix} {
		for pair := range m {
			if pair.To.Less(pair.From) {
				pair = pair.Back()
			}
			_, known := v.peers[pair.From]
			_, knownTo := v.peers[pair.To]
			back := pair.Back()
			if !known || !knownTo || seen[pair] || from[pair] == v.matrix[pair] && from[back] == v.matrix[back] {
				continue
			}
			seen[pair] = true
			pairs = append(pairs, pair)
		}
	}
	slices.SortFunc(pairs, func(a, b fabric.Pair) int { return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To)) })
	both := make([]fabric.Pair, 0, 2*len(pairs))
	for _, pair := range pairs {
		both = append(both, pair, pair.Back())
	}
	return both
}

// sample picks from pairs, of which each is followed by its way back, as many
// as can be measured with so many datagrams, but at least one: first those of
// peers that have none yet.
func sample(m fabric.Matrix, pairs []fabric.Pair, budget int) []fabric.Pair {
	var first, rest []fabric.Pair
	covered := make(map[netip.Addr]bool)
	for i := 0; i < len(pairs); i += 2 {
		if pair := pairs[i]; !covered[pair.From] || !covered[pair.To] {
			covered[pair.From], covered[pair.To] = true, true
			first = append(first, pair)
		} else {
			rest = append(rest, pair)
		}
	}
	// The rest evenly, not from the first peers only.
	step := len(rest)/2 + 1
	for step > 1 && gcd(step, len(rest)) > 1 {
		step++
	}
	for i := range rest {
		first = append(first, rest[i*step%len(rest)])
	}
	var picked []fabric.Pair
	for _, pair := range first {
		budget -= m.Cost(pair) + m.Cost(pair.Back())
		if budget < 0 && len(picked) > 0 {
			break
		}
		picked = append(picked, pair, pair.Back())
	}
	return picked
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Run measures, records and judges. What seems worse than it should be is
// measured once more: a host may be too busy for a moment.
func (v *Verification) Run(ctx context.Context) error {
	if len(v.pairs) == 0 {
		return nil
	}
	names := make(map[netip.Addr]string, len(v.peers))
	for addr, m := range v.peers {
		names[addr] = m.Name
	}
	overflowed := v.set.daemon.WatchOverflows(ctx)
	results, err := v.matrix.Measure(ctx, v.probers, v.pairs)
	if err != nil && overflowed() {
		return fmt.Errorf("the links are set, but not measured: %w", dockerd.ErrNeighbors)
	}
	if err != nil {
		if v.steady(ctx, v.pairs...) != nil {
			return nil // somebody has stopped a peer: there is nothing to be said
		}
		return fmt.Errorf("the links are set, but not measured: %w", err)
	}
	var again []fabric.Pair
	for _, r := range results {
		if err := v.matrix.Check(r, names); err != nil && !errors.Is(err, fabric.ErrNoEffect) {
			again = append(again, r.Pair)
		}
	}
	if len(again) > 0 {
		second, err := v.matrix.Measure(ctx, v.probers, again)
		if err != nil && v.steady(ctx, again...) == nil {
			return fmt.Errorf("the links are set, but not measured: %w", err)
		}
		for _, r := range second {
			results[slices.Index(v.pairs, r.Pair)] = r
		}
	}
	return v.judge(ctx, results, names, overflowed)
}

// judge records what was measured and returns the first fault that is none. Where
// less arrives than should because the host's table of neighbors has overflowed,
// that is the error.
func (v *Verification) judge(ctx context.Context, results []fabric.Measurement, names map[netip.Addr]string, overflowed func() bool) error {
	var bad *testbed.NoEffectError
	more, without := 0, false
	for _, r := range results {
		pair := testbed.Pair{From: names[r.Pair.From], To: names[r.Pair.To]}
		e := event.Event{Kind: testbed.LabProbe, Member: pair.From, Addr: pair.To, Text: v.matrix[r.Pair].String() + ": " + r.String()}
		err := v.matrix.Check(r, names)
		if err != nil && v.steady(ctx, r.Pair) == nil {
			e.Error = err.Error()
			without = without || errors.Is(err, fabric.ErrNoEffect)
			if bad == nil {
				bad = &testbed.NoEffectError{Pair: pair, Detail: err.Error()}
			} else {
				more++
			}
		}
		v.history.Record(e)
	}
	if bad == nil {
		return nil
	}
	if !without && overflowed() {
		return fmt.Errorf("the links are set, and more is lost than was asked for, on %d links: %w", more+1, dockerd.ErrNeighbors)
	}
	if more > 0 {
		bad.Detail += fmt.Sprintf(" (and %d links more)", more)
	}
	return bad
}

// steady says whether the peers of the pairs are in the life in which they
// were when all began.
func (v *Verification) steady(ctx context.Context, pairs ...fabric.Pair) error {
	seen := make(map[string]bool)
	for _, pair := range pairs {
		m := v.peers[pair.From]
		other := v.peers[pair.To]
		for _, one := range []dockerd.Member{m, other} {
			if seen[one.Name] {
				continue
			}
			seen[one.Name] = true
			life, err := v.set.life(ctx, one.ID)
			if err != nil {
				return err
			}
			v.set.mu.Lock()
			p := v.set.probes[one.Name]
			v.set.mu.Unlock()
			if p == nil || p.life != life {
				return testbed.ErrStopped
			}
		}
	}
	return nil
}
