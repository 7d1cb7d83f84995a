package explore

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"peerlab/scenarios"
)

const (
	// confirmations are the runs that tell how often a schedule fails.
	confirmations = 4
	// patience is how probable it must be that a schedule that fails as often as
	// the one before it is taken in its place.
	patience = 0.9
	// mostTries bounds the runs of one candidate.
	mostTries = 10
)

// shrinker looks for the smallest schedule that still fails in the same way.
//
// memberlist's randomness cannot be seeded, so a schedule may fail in some runs
// only. How often it does is measured first, and again whenever no part of it
// can be left out any more. A smaller one is taken in its place when it fails
// twice, within as many runs as one that fails as often needs for that, most of
// the time: twice in a row if the one before always failed. Once would not do:
// step by step, a bug that always shows would become one that hardly ever does.
type shrinker struct {
	host    scenarios.Host
	seed    uint64
	workers int
	until   time.Time // when to be content with what there is
	best    schedule
	former  []schedule // that were best, it included
	failure *failure   // of best
	rate    float64    // how often best fails
	runs    int
	told    func(lines, runs int)
}

// measure runs best n times and returns how often it failed like the first
// time.
func (k *shrinker) measure(ctx context.Context, n int) (count int) {
	count = k.count(ctx, k.best, n)
	k.rate = float64(count) / float64(n)
	return count
}

// count returns how often s fails like the first time in n runs.
func (k *shrinker) count(ctx context.Context, s schedule, n int) (count int) {
	failed := make([]*failure, n)
	k.each(n, func(i int) { failed[i] = k.fails(ctx, s, k.seed+uint64(i)) })
	k.runs += n
	for _, f := range failed {
		if f != nil {
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

// fails runs s once and returns its failure if it is the one looked for.
func (k *shrinker) fails(ctx context.Context, s schedule, seed uint64) *failure {
	if t := try(ctx, k.host, seed, s); t.failed != nil && t.failed.key == k.failure.key {
		return t.failed
	}
	return nil
}

// tries is within how many runs a candidate must fail twice.
func (k *shrinker) tries() int {
	for n := 2; n < mostTries; n++ {
		never := math.Pow(1-k.rate, float64(n))
		once := float64(n) * k.rate * math.Pow(1-k.rate, float64(n-1))
		if 1-never-once >= patience {
			return n
		}
	}
	return mostTries
}

// twice returns the failure of a candidate that fails twice, nil if it does
// not, and how many runs that took.
func (k *shrinker) twice(ctx context.Context, s schedule, tries int) (last *failure, runs int) {
	for count := 0; runs-count <= tries-2 && !k.over(ctx); {
		f := k.fails(ctx, s, k.seed+uint64(runs))
		runs++
		if f == nil {
			continue
		}
		if count++; count == 2 {
			return f, runs
		}
	}
	return nil, runs
}

// first takes the first of the candidates that fails, trying several at once,
// and says whether there is one.
func (k *shrinker) first(ctx context.Context, candidates []schedule) bool {
	candidates = slices.DeleteFunc(slices.Clone(candidates), func(s schedule) bool { return !s.sound(k.failure.judged) })
	tries := k.tries()
	for batch := range slices.Chunk(candidates, k.workers) {
		if k.over(ctx) {
			return false
		}
		failed, runs := make([]*failure, len(batch)), make([]int, len(batch))
		k.each(len(batch), func(i int) { failed[i], runs[i] = k.twice(ctx, batch[i], tries) })
		for _, n := range runs {
			k.runs += n
		}
		for i, f := range failed {
			if f != nil {
				k.best, k.failure = batch[i], f
				k.former = append(k.former, k.best)
				k.told(len(k.best.steps)+1, k.runs)
				return true
			}
		}
	}
	return false
}

func (k *shrinker) over(ctx context.Context) bool {
	return ctx.Err() != nil || !time.Now().Before(k.until)
}

// shrink makes best as small as it gets, and has it fail about as often as it
// did in the beginning. It returns how often it failed in the last runs, and how
// many they were.
func (k *shrinker) shrink(ctx context.Context) (failed, of int) {
	const last = 2 * confirmations
	if k.measure(ctx, confirmations) == 0 {
		return 0, confirmations
	}
	reliable, made := k.rate, k.best
	// What breaks under one fault in a cluster of two need not be dug out of a
	// long schedule, of which each run takes long.
	if k.classic(ctx, reliable/2) {
		reliable = max(reliable/2, k.rate)
	} else {
		k.first(ctx, []schedule{k.closing()})
	}
	k.reduce(ctx)
	failed = k.measure(ctx, last)
	if k.rate < reliable*3/4 {
		// It may be that what was made failed so often by chance.
		reliable = min(reliable, float64(k.count(ctx, made, last))/last)
	}
	// What was taken by chance is taken back.
	for k.rate < reliable*3/4 && len(k.former) > 1 && ctx.Err() == nil {
		k.former = k.former[:len(k.former)-1]
		k.best = k.former[len(k.former)-1]
		failed = k.measure(ctx, last)
	}
	return failed, last
}

// classic takes the first of the classics that fails at least so often, and says
// whether there is one.
func (k *shrinker) classic(ctx context.Context, often float64) bool {
	made, rate, failure, former := k.best, k.rate, k.failure, k.former
	candidates := k.classics()
	for k.first(ctx, candidates) {
		taken := k.best.text()
		if k.measure(ctx, confirmations); k.rate >= often {
			return true
		}
		// Twice by chance: one after it may show it better.
		candidates = candidates[1+slices.IndexFunc(candidates, func(s schedule) bool { return s.text() == taken }):]
		k.best, k.rate, k.failure, k.former = made, rate, failure, former
	}
	return false
}

// reduce makes best smaller step by step. Peers go first: that makes all runs
// after it cheaper.
func (k *shrinker) reduce(ctx context.Context) {
	for {
		before := k.best.text()
		for k.first(ctx, k.fewerPeers()) {
		}
		k.drop(ctx)
		for k.first(ctx, k.simpler()) {
		}
		if k.best.text() == before || k.over(ctx) {
			return
		}
		k.measure(ctx, confirmations)
	}
}

// closing is the schedule that ends with the line that failed.
func (k *shrinker) closing() schedule {
	steps := slices.Clone(k.best.steps)
	for len(steps) > 1 && !k.decides(steps[len(steps)-1]) {
		steps = steps[:len(steps)-1]
	}
	return k.best.with(steps)
}

// decides reports whether this is the line that fails.
func (k *shrinker) decides(s step) bool {
	failed := k.failure.step
	switch s.verb {
	case await:
		return failed.verb == await && s.judges == failed.judges
	case check:
		return failed.verb == check && s.text == failed.text
	}
	return false
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
			if !k.first(ctx, candidates) {
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
		if len(candidates) > 150 || !k.first(ctx, candidates) {
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

// fewerPeers are the schedules of smaller clusters, much smaller ones first.
// The names stay those of a cluster of that size.
func (k *shrinker) fewerPeers() (candidates []schedule) {
	n := len(k.best.peers)
	for size := n / 2; size >= 1; size /= 2 {
		for from := 0; from+size <= n && n-size >= 2; from += size {
			candidates = append(candidates, k.lacking(k.best.peers[from:from+size]))
		}
	}
	return candidates
}

// lacking returns best without some peers.
func (k *shrinker) lacking(gone []string) schedule {
	smaller := *k
	smaller.best.peers = k.best.peers[:len(k.best.peers)-len(gone)]
	called := make(map[string]string)
	i := 0
	for _, name := range k.best.peers {
		if !slices.Contains(gone, name) {
			called[name] = smaller.best.peers[i]
			i++
		}
	}
	rename := func(names []string) []string {
		var renamed []string
		for _, name := range names {
			renamed = append(renamed, called[name])
		}
		return renamed
	}
	var steps []step
	for _, s := range k.best.steps {
		ok := true
		for _, name := range gone {
			if ok {
				s, ok = s.without(name)
			}
		}
		if ok {
			s.who, s.to = rename(s.who), rename(s.to)
			steps = append(steps, s)
		}
	}
	return smaller.best.with(smaller.mended(steps))
}

// simpler are the schedules with one step made smaller.
func (k *shrinker) simpler() (candidates []schedule) {
	replace := func(i int, with step) {
		steps := slices.Clone(k.best.steps)
		steps[i] = with
		candidates = append(candidates, k.best.with(k.mended(steps)))
	}
	moved := slices.ContainsFunc(k.best.steps, func(s step) bool { return s.verb == move })
	for i, s := range k.best.steps {
		candidates = append(candidates, k.briefly(i)...)
		switch {
		case s.lasts > time.Second:
			t := s
			if t.lasts = (s.lasts / 2).Round(time.Second); t.lasts < s.lasts {
				replace(i, t)
			}
		}
		switch {
		case s.verb == await && !moved && strings.HasPrefix(s.text, resettling):
			s.text = settling + strings.TrimPrefix(s.text, resettling)
			replace(i, s)
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
			t.n, t.every, t.back = 1, 0, false
			replace(i, t)
			if s.back {
				candidates = append(candidates, k.inForeground(i)...)
			}
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

// briefly are the schedules in which fault i is undone in its own line, in place
// of a wait and of what undoes it.
func (k *shrinker) briefly(i int) (candidates []schedule) {
	s := k.best.steps[i]
	ends := map[verb]verb{partition: heal, link: heal, kill: start, stop: start, pause: resume}[s.verb]
	if ends == "" || s.lasts > 0 {
		return nil
	}
	after := k.best.steps[i+1:]
	for j, t := range after {
		if t.verb != wait || t.every == 0 {
			continue
		}
		s.lasts = t.every
		for l, u := range after {
			if u.verb == ends && l > j {
				steps := slices.Concat(k.best.steps[:i], after[:j], []step{s}, after[j+1:l], after[l+1:])
				candidates = append(candidates, k.best.with(k.mended(steps)))
			}
		}
	}
	return candidates
}

// inForeground are the schedules in which what is said in the background, by
// step i, is said in the foreground: there, instead of a wait after it, or where
// it is waited for.
func (k *shrinker) inForeground(i int) (candidates []schedule) {
	s := k.best.steps[i]
	s.back = false
	add := func(steps ...[]step) { candidates = append(candidates, k.best.with(k.mended(slices.Concat(steps...)))) }
	before, after := k.best.steps[:i], k.best.steps[i+1:]
	add(before, []step{s}, after)
	for j, t := range after {
		switch t.verb {
		case wait:
			u := s
			u.n = max(2, int(t.every/s.every))
			add(before, after[:j], []step{u}, after[j+1:])
		case join:
			add(before, after[:j], []step{s}, after[j+1:])
		}
	}
	return candidates
}

// classics are small schedules that break many a protocol, of those that have
// fewer lines than best: one peer is cut off, frozen or killed for a while, in
// silence or while somebody talks.
func (k *shrinker) classics() (candidates []schedule) {
	closing := k.closing().steps
	decision := closing[len(closing)-1]
	// Until somebody is held dead with the local profile, and until all are.
	for _, d := range []time.Duration{8 * time.Second, 40 * time.Second} {
		for n := 2; n <= min(3, len(k.best.peers)); n++ {
			s := k.best
			s.peers = k.best.peers[:n]
			last := s.peers[n-1:]
			for _, fault := range []step{
				{verb: partition, who: s.peers[:1], to: s.peers[1:]},
				{verb: link, who: last, to: s.peers[:1]},
				{verb: link, who: last, to: s.peers[:1], back: true},
				{verb: link, who: last, to: s.peers[:1], back: true, text: "loss=30%"},
				{verb: pause, who: last},
				{verb: kill, who: last},
			} {
				fault.lasts = d
				begin, formed := step{verb: start}, step{verb: await, text: forming, judges: together}
				const every = 200 * time.Millisecond
				talk := step{verb: say, who: s.peers[:1], n: int((d + 20*time.Second) / every), every: every, back: true}
				candidates = append(candidates,
					s.with([]step{begin, formed, fault, decision}),
					s.with([]step{begin, talk, fault, {verb: join}, decision}),
					s.with([]step{begin, formed, talk, fault, {verb: join}, decision}))
				if fault.verb == link || fault.verb == partition { // for good: there may be a way around
					fault.lasts, talk.back = 0, false
					candidates = append(candidates, s.with([]step{begin, formed, fault, talk, decision}))
				}
			}
		}
	}
	return slices.DeleteFunc(candidates, func(s schedule) bool { return len(s.steps) >= len(k.best.steps) })
}
