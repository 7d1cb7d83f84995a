package sweep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"unicode"

	"peerlab/scenarios"
)

// Sweep says what to run. Batch is what every combination has in common; its
// Scenarios and Tell are not used.
type Sweep struct {
	scenarios.Batch
	Scenario *scenarios.Scenario
	Axes     []Axis
	// Workers is how many combinations run at the same time, each one run after
	// the other; 0 or 1 is one combination at a time, of which as many runs at
	// once as the batch says.
	Workers int
	// Told, if set, is told of each run that ends, not concurrently.
	Told func(Run)
}

// Run is one run of one combination.
type Run struct {
	*scenarios.Done
	Values []string // of the axes, in their order
}

// mostRuns bounds a sweep.
const mostRuns = 100_000

// batch is one combination, with what runs in it.
type batch struct {
	values []string
	batch  scenarios.Batch
	plans  []*scenarios.Plan
}

// Check says what is wrong before anything runs, and how many runs there are.
func (s *Sweep) Check(ctx context.Context) (runs int, err error) {
	all, err := s.batches(ctx)
	for _, b := range all {
		runs += len(b.plans) * max(1, s.Repeat)
	}
	return runs, err
}

func (s *Sweep) batches(ctx context.Context) ([]*batch, error) {
	if len(s.Axes) == 0 {
		return nil, errors.New("nothing varies: want an axis such as SuspicionMult=2..6")
	}
	for i, a := range s.Axes {
		for _, b := range s.Axes[:i] {
			if strings.EqualFold(a.Name, b.Name) {
				return nil, fmt.Errorf("%s varies twice", a.Name)
			}
		}
	}
	total := max(1, s.Repeat)
	for _, a := range s.Axes {
		if total *= len(a.Values); total > mostRuns {
			return nil, fmt.Errorf("more than %d runs", mostRuns)
		}
	}
	var all []*batch
	for _, values := range combinations(s.Axes) {
		set, settings := s.split(values)
		changed, err := s.Scenario.With(settings...)
		if err != nil {
			return nil, fmt.Errorf("with %s: %w", s.describe(values), err)
		}
		b := &batch{values: values, batch: s.Batch}
		b.batch.Scenarios, b.batch.Set = []*scenarios.Scenario{changed}, set
		plans, err := b.batch.Plans(ctx)
		if err != nil {
			return nil, fmt.Errorf("with %s: %w", s.describe(values), err)
		}
		b.plans = plans
		for i := range values { // from here on they are shown and kept
			values[i] = plans[0].Redact(values[i])
		}
		all = append(all, b)
	}
	return all, nil
}

// workers is how many combinations run at the same time: not more than fit into
// the memory.
func (s *Sweep) workers(all []*batch) int {
	workers := max(1, s.Workers)
	if s.Memory == 0 {
		return workers
	}
	for _, b := range all {
		for _, p := range b.plans {
			workers = min(workers, max(1, int(s.Memory/p.Memory())))
		}
	}
	return workers
}

// describe writes a combination.
func (s *Sweep) describe(values []string) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = s.Axes[i].Name + "=" + v
	}
	return strings.Join(words, " ")
}

// split says what a combination means: variables that the scenario has, and
// settings of its cluster.
func (s *Sweep) split(values []string) (set map[string]string, settings []string) {
	set = maps.Clone(s.Set)
	if set == nil {
		set = make(map[string]string)
	}
	for i, a := range s.Axes {
		variable := strings.ToUpper(strings.ReplaceAll(a.Name, "-", "_"))
		field := unicode.IsUpper(rune(a.Name[0])) && a.Name != variable
		if !field && (strings.Contains(s.Scenario.Text, "$"+variable) || strings.Contains(s.Scenario.Text, "${"+variable)) {
			set[variable] = values[i]
			continue
		}
		settings = append(settings, a.Name+"="+values[i])
	}
	return set, settings
}

// Run runs all combinations and returns all runs in the order of these. When
// ctx ends it returns what is complete and the context's error; the same sweep
// with the same directory goes on from there.
func (s *Sweep) Run(ctx context.Context) ([]Run, error) {
	all, err := s.batches(ctx)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	results, errs := make([][]Run, len(all)), make([]error, len(all))
	turns := make(chan struct{}, s.workers(all))
	var working sync.WaitGroup
	for i, b := range all {
		turns <- struct{}{}
		if s.Workers > 1 {
			b.batch.Parallel = 1
		}
		b.batch.Tell = func(n scenarios.Note) {
			if n.Done != nil && s.Told != nil {
				mu.Lock()
				defer mu.Unlock()
				s.Told(Run{n.Done, b.values})
			}
		}
		working.Go(func() {
			defer func() { <-turns }()
			var done []*scenarios.Done
			done, errs[i] = b.batch.Run(ctx, b.plans)
			for _, d := range done {
				results[i] = append(results[i], Run{d, b.values})
			}
		})
	}
	working.Wait()
	var runs []Run
	for _, some := range results {
		runs = append(runs, some...)
	}
	if ctx.Err() != nil {
		return runs, ctx.Err()
	}
	return runs, errors.Join(errs...)
}
