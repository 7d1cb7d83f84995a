package explore

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"peerlab/scenarios"
)

const (
	// confirmations are the runs that tell how reliably a schedule fails.
	confirmations = 5
	// doubt is how probably a smaller schedule that fails as often as the one
	// before is thrown away, because it passed by chance.
	doubt = 0.05
	// mostTries bounds the runs for one candidate.
	mostTries = 8
)

// shrinker looks for the smallest schedule that still fails in the same way.
//
// memberlist's randomness cannot be seeded, so a schedule may fail in some runs
// only. How often it does is measured first. A smaller one is taken when it
// fails twice in a row, if the first one always failed; otherwise when it
// fails once in as many runs as make it improbable (doubt) that it would have
// passed all of them.
type shrinker struct {
	host    scenarios.Host
	seed    uint64
	workers int
	until   time.Time // when to be content with what there is
	failure *failure
	rate    float64 // of failures of the schedule it began with
	best    schedule
	runs    int
	told    func(lines, runs int)
}

// frequency runs s n times, as many at once as there are workers, and returns
// how often it failed like the first time.
func (k *shrinker) frequency(ctx context.Context, s schedule, n int) int {
	failed := make([]bool, n)
	k.each(n, func(i int) { failed[i] = k.fails(ctx, s, k.seed+uint64(i)) })
	k.runs += n
	count := 0
	for _, f := range failed {
		if f {
			count++
		}
	}
	return count
}

// each calls f for 0 to n-1, some at once.
func (k *shrinker) each(n int, f func(i int)) {
	var working sync.WaitGroup
	turns := make(chan struct{}, k.workers)
	for i := range n {
		turns <- struct{}{}
		working.Go(func() {
			defer func() { <-turns }()
			f(i)
		})
	}
	working.Wait()
}

func (k *shrinker) fails(ctx context.Context, s schedule, seed uint64) bool {
	t := try(ctx, k.host, seed, s)
	if t.failed == nil || t.failed.key != k.failure.key {
		return false
	}
	return true
}

// accepted says whether s fails as the first one does. It may be called
// concurrently; runs are counted in n.
func (k *shrinker) accepted(ctx context.Context, s schedule) (ok bool, n int) {
	if k.rate == 1 {
		for n = 1; n <= 2; n++ {
			if !k.fails(ctx, s, k.seed+uint64(n)) {
				return false, n
			}
		}
		return true, 2
	}
	most := min(mostTries, int(math.Ceil(math.Log(doubt)/math.Log(1-k.rate))))
	for n = 1; n <= most; n++ {
		if k.fails(ctx, s, k.seed+uint64(n)) {
			return true, n
		}
	}
	return false, most
}

// first takes the first of the candidates that is accepted, trying several at
// once, and says which it was, -1 if none.
func (k *shrinker) first(ctx context.Context, candidates []schedule) int {
	var sound []int
	for i, c := range candidates {
		if c.sound(k.failure.judged) {
			sound = append(sound, i)
		}
	}
	for batch := range slices.Chunk(sound, k.workers) {
		if ctx.Err() != nil || time.Now().After(k.until) {
			return -1
		}
		accepted, runs := make([]bool, len(batch)), make([]int, len(batch))
		k.each(len(batch), func(i int) { accepted[i], runs[i] = k.accepted(ctx, candidates[batch[i]]) })
		for _, n := range runs {
			k.runs += n
		}
		if i := slices.Index(accepted, true); i >= 0 {
			k.best = candidates[batch[i]]
			k.told(len(k.best.steps)+1, k.runs)
			return batch[i]
		}
	}
	return -1
}

// shrink makes best as small as it gets.
func (k *shrinker) shrink(ctx context.Context) {
	k.first(ctx, k.closings())
	for {
		before := k.best.text()
		k.drop(ctx)
		for k.first(ctx, k.fewerPeers()) >= 0 {
		}
		for k.first(ctx, k.simpler()) >= 0 {
		}
		if k.best.text() == before || ctx.Err() != nil || time.Now().After(k.until) {
			return
		}
	}
}

// closings are the schedule that ends with the line that failed.
func (k *shrinker) closings() []schedule {
	steps := slices.Clone(k.best.steps)
	for len(steps) > 0 && !k.decides(steps[len(steps)-1]) {
		steps = steps[:len(steps)-1]
	}
	return []schedule{k.best.with(steps)}
}

// decides says whether this is the line that fails.
func (k *shrinker) decides(s step) bool {
	switch k.failure.key {
	case "forming", "views", "chat complete":
		return s.verb == await && s.judges == k.failure.judged
	}
	return s.verb == check && s.text != "" && len(k.failure.key) >= len("check "+s.text) && k.failure.key[:len("check "+s.text)] == "check "+s.text
}

// drop leaves out steps: large stretches first, then ever smaller ones, the
// last ones first.
func (k *shrinker) drop(ctx context.Context) {
	for size := max(1, len(k.best.steps)/2); size >= 1; size /= 2 {
		for {
			var candidates []schedule
			steps := k.best.steps
			for end := len(steps); end-size >= 0; end -= max(1, size/2) {
				candidates = append(candidates, k.best.with(k.mended(slices.Concat(steps[:end-size], steps[end:]))))
			}
			if k.first(ctx, candidates) < 0 {
				break
			}
		}
	}
	// A fault goes with what ends it.
	for {
		var candidates []schedule
		steps := k.best.steps
		for i := range steps {
			for j := i + 1; j < len(steps); j++ {
				rest := slices.Concat(steps[:i], steps[i+1:j], steps[j+1:])
				candidates = append(candidates, k.best.with(k.mended(rest)))
			}
		}
		if len(candidates) > 150 || k.first(ctx, candidates) < 0 {
			return
		}
	}
}

// mended leaves out what has become senseless, such as the resume of a peer
// that is not paused any more.
func (k *shrinker) mended(steps []step) []step {
	c := newSituation(k.best.peers)
	var sensible []step
	for _, s := range steps {
		switch s.verb {
		case stop, kill, pause:
			s.who = slices.DeleteFunc(slices.Clone(s.who), func(name string) bool {
				return !c.running[name] || s.verb == pause && c.paused[name]
			})
		case resume:
			s.who = slices.DeleteFunc(slices.Clone(s.who), func(name string) bool { return !c.paused[name] })
		case throttle:
			s.who = slices.DeleteFunc(slices.Clone(s.who), func(name string) bool { return s.text == unthrottled && !c.throttled[name] })
		case start:
			if c.begun {
				s.who = slices.DeleteFunc(slices.Clone(s.who), func(name string) bool { return c.running[name] })
			}
		case heal:
			if len(c.links) == 0 {
				continue
			}
		case service:
			if c.service == (s.text == "start") {
				continue
			}
		case say:
			if !c.running[s.who[0]] {
				continue
			}
		case join:
			if !c.talking {
				continue
			}
		}
		switch s.verb {
		case stop, kill, pause, resume, throttle, start:
			if len(s.who) == 0 && (s.verb != start || c.begun) {
				continue
			}
		}
		// do takes a start without names as that of all.
		c.do(s)
		sensible = append(sensible, s)
	}
	return sensible
}

// fewerPeers are the schedules of a cluster without its last peer, or with
// another one in the last one's place.
func (k *shrinker) fewerPeers() (candidates []schedule) {
	n := len(k.best.peers) - 1
	if n < 2 {
		return nil
	}
	last := k.best.peers[n]
	for i := n; i >= 0; i-- {
		gone := k.best.peers[i]
		var steps []step
		for _, s := range k.best.steps {
			s, ok := s.without(gone)
			if !ok {
				continue
			}
			rename := func(names []string) []string {
				names = slices.Clone(names)
				for j, name := range names {
					if name == last {
						names[j] = gone
					}
				}
				return names
			}
			s.who, s.to = rename(s.who), rename(s.to)
			steps = append(steps, s)
		}
		c := k.best
		c.peers = c.peers[:n]
		smaller := *k
		smaller.best = c
		candidates = append(candidates, c.with(smaller.mended(steps)))
	}
	return candidates
}

// simpler are the schedules with one step made smaller.
func (k *shrinker) simpler() (candidates []schedule) {
	replace := func(i int, with step) {
		steps := slices.Clone(k.best.steps)
		steps[i] = with
		candidates = append(candidates, k.best.with(k.mended(steps)))
	}
	for i, s := range k.best.steps {
		switch {
		case s.verb == wait:
			for _, d := range []time.Duration{s.every / 2, s.every * 3 / 4} {
				if s.every > time.Second {
					t := s
					t.every = d.Round(time.Second)
					if t.every > 0 && t.every < s.every {
						replace(i, t)
					}
				}
			}
		case s.verb == say && s.n > 1:
			t := s
			t.n, t.every = 1, 0
			replace(i, t)
			t = s
			t.n /= 2
			if t.n > 1 {
				replace(i, t)
			}
		case s.verb == partition, s.verb == link, s.verb == kill, s.verb == pause, s.verb == stop:
			for _, name := range append(slices.Clone(s.who), s.to...) {
				if t, ok := s.without(name); ok {
					replace(i, t)
				}
			}
			if s.verb == link && s.back {
				t := s
				t.back = false
				replace(i, t)
			}
			if s.verb == link && s.text != "" {
				t := s
				t.text = ""
				replace(i, t)
			}
		}
	}
	return candidates
}
