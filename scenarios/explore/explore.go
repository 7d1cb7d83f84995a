// Package explore looks for bugs: it makes schedules of faults at random, runs
// them as scenarios, and makes those that fail as small as it can.
//
// Schedules are made here and not by a library for property tests, such as
// pgregory.net/rapid: those shrink by replaying a stream of random choices and
// take for granted that the same choices fail again, which a cluster whose
// members roll their own dice does not.
package explore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"peerlab/internal/terminal"
	"peerlab/observe"
	"peerlab/scenarios"
)

// Views is the check that all peers hold all others alive in the end, within
// the bounds of theory. They do with rejoin on.
const Views = "views"

// Checks returns the names of what can be judged.
func Checks() []string {
	names := []string{Views}
	for _, h := range observe.Checks() {
		names = append(names, h.Name)
	}
	return names
}

// Options say how to search.
type Options struct {
	Shape
	Host scenarios.Host
	// Seed is that of the first schedule; the next one has the next number.
	Seed uint64
	// Runs is how many schedules to try; 0 means until ctx ends.
	Runs int
	// Workers is how many run at the same time, at least 1.
	Workers int
	// Shrinking is how long shrinking may take; 0 leaves what was found as it is.
	Shrinking time.Duration
	// Progress, if set, is told now and then, from one goroutine at a time.
	Progress func(Progress)
}

// Progress is how far a search is.
type Progress struct {
	Done    int    // schedules tried
	Seed    uint64 // the last one's
	Unable  int    // of them could not tell
	Lines   int    // while shrinking: the lines it is down to
	Shrunk  int    // and the runs for that
	Finding string // what is being shrunk
}

// Finding is a schedule that fails.
type Finding struct {
	Seed uint64
	Why  string // one line
	// Story is the failure at length, of the first run.
	Story string
	// Lines is the length of Text without comments, Of that of the schedule as
	// it was made.
	Lines, Of int
	// Failed of Tried runs of Text failed in the same way, in the end. Tried is 0
	// where that was not measured.
	Failed, Tried int
	// Interrupted says that shrinking was not finished: Text could be smaller, and
	// the last runs that would say how often it fails are missing.
	Interrupted bool
	// Text is the scenario, with a comment that says where it comes from.
	Text string
}

// Summary is what a search came to.
type Summary struct {
	Done, Unable int
	// Reason is why the first run that could not tell could not.
	Reason string
	// Finding is nil if all schedules passed.
	Finding *Finding
}

// Search tries schedules until one fails, all have been tried, or ctx ends,
// which is no error. The error is one of the options, or of the engine when it
// runs nothing at all.
func Search(ctx context.Context, o Options) (Summary, error) {
	if len(o.Checks) == 0 {
		o.Checks = Checks()
	}
	if err := o.Check(); err != nil {
		return Summary{}, err
	}
	o.Workers = max(1, o.Workers)
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	sum, seed, failed := o.look(ctx)
	if failed == nil {
		if sum.Unable > 0 && sum.Unable == sum.Done && ctx.Err() == nil {
			return sum, fmt.Errorf("no schedule could be judged: %s", sum.Reason)
		}
		return sum, nil
	}
	sum.Finding = o.smallest(ctx, seed, failed)
	return sum, nil
}

// look tries schedules until one fails.
func (o Options) look(ctx context.Context) (sum Summary, seed uint64, failed *failure) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var mu sync.Mutex
	next := 0
	var working sync.WaitGroup
	for range o.Workers {
		working.Go(func() {
			for {
				mu.Lock()
				i := next
				if failed != nil || ctx.Err() != nil || o.Runs > 0 && i >= o.Runs {
					mu.Unlock()
					return
				}
				next++
				mu.Unlock()
				this := o.Seed + uint64(i)
				t := try(ctx, o.Host, this, generate(this, o.Shape))
				mu.Lock()
				if ctx.Err() == nil || t.failed != nil {
					sum.Done++
					switch {
					case t.failed != nil && (failed == nil || this < seed):
						failed, seed = t.failed, this
						stop()
					case t.unable != nil:
						if sum.Unable++; sum.Reason == "" {
							sum.Reason = fmt.Sprintf("seed %d: %s", this, terminal.FirstLine(t.unable.Error()))
						}
					}
					o.Progress(Progress{Done: sum.Done, Seed: this, Unable: sum.Unable})
				}
				mu.Unlock()
			}
		})
	}
	working.Wait()
	return sum, seed, failed
}

// smallest shrinks what was found.
func (o Options) smallest(ctx context.Context, seed uint64, failed *failure) *Finding {
	made := generate(seed, o.Shape)
	f := &Finding{Seed: seed, Why: failed.why, Story: failed.story, Of: len(made.steps) + 1}
	k := &shrinker{
		host: o.Host, seed: seed, workers: o.Workers, until: time.Now().Add(o.Shrinking), failure: failed, best: made, former: []schedule{made},
		told: func(lines, runs int) {
			o.Progress(Progress{Seed: seed, Lines: lines, Shrunk: runs, Finding: failed.why})
		},
	}
	if !failed.blocked && o.Shrinking > 0 {
		k.told(f.Of, 0)
		f.Failed, f.Tried = k.shrink(ctx)
		if f.Interrupted = ctx.Err() != nil; f.Interrupted {
			f.Failed, f.Tried = 0, 0 // runs that were interrupted did not fail
		}
		f.Why, f.Story = k.failure.why, k.failure.story
	}
	f.Lines = len(k.best.steps) + 1
	f.Text = o.header(f) + k.best.text()
	return f
}
