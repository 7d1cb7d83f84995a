package sweep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"peerlab/peer"
	"peerlab/scenarios"
	"peerlab/testbed/settings"
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

// AxesError is what is wrong with what varies, by itself or with this scenario.
type AxesError struct{ text string }

// Error implements error.
func (e *AxesError) Error() string { return e.text }

func wrongAxes(format string, args ...any) error { return &AxesError{fmt.Sprintf(format, args...)} }

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
		return nil, wrongAxes("nothing varies: want an axis such as SuspicionMult=2..6")
	}
	for i, a := range s.Axes {
		for _, b := range s.Axes[:i] {
			if strings.EqualFold(a.Name, b.Name) {
				return nil, wrongAxes("%s varies twice", a.Name)
			}
		}
	}
	total := max(1, s.Repeat)
	for _, a := range s.Axes {
		if total *= len(a.Values); total > mostRuns {
			return nil, wrongAxes("more than %d runs", mostRuns)
		}
	}
	var all []*batch
	for _, values := range combinations(s.Axes) {
		set, with, err := s.split(values)
		if err != nil {
			return nil, err
		}
		changed, err := s.Scenario.With(with...)
		if err != nil {
			return nil, fmt.Errorf("with %s: %w", s.describe(values), err)
		}
		b := &batch{values: values, batch: s.Batch}
		b.batch.Scenarios, b.batch.Set, b.batch.Part = []*scenarios.Scenario{changed}, set, true
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
// settings of its cluster. The error is for what is neither.
func (s *Sweep) split(values []string) (set map[string]string, settingsOf []string, err error) {
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
		err := settings.CheckSetting(nil, a.Name, values[i])
		switch unknown := !field && errors.Is(err, peer.ErrNoSetting); {
		case unknown && slices.Contains(s.Scenario.Variables(), variable):
			return nil, nil, wrongAxes("--vary %s: the scenario sets %s, but no line uses $%s: nothing would vary", a.Name, variable, variable)
		case unknown:
			return nil, nil, wrongAxes("--vary %s: no line of the scenario uses $%s: write set %s=%s into it, and $%s where it belongs; %v",
				a.Name, variable, variable, values[i], variable, err)
		}
		settingsOf = append(settingsOf, a.Name+"="+values[i])
	}
	return set, settingsOf, nil
}

// Run runs all combinations and returns all runs in the order of these. When
// ctx ends it returns what is complete and the context's error; the same sweep
// with the same directory goes on from there.
func (s *Sweep) Run(ctx context.Context) ([]Run, error) {
	began := time.Now()
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
	if err := errors.Join(errs...); err != nil {
		return runs, err
	}
	return runs, s.junit(began, runs)
}

// junit writes junit.xml, where the name of a run has the values of its
// combination.
func (s *Sweep) junit(began time.Time, runs []Run) error {
	var done []*scenarios.Done
	names := make(map[*scenarios.Done]string)
	for _, r := range runs {
		done = append(done, r.Done)
		names[r.Done] = r.Name + " " + s.describe(r.Values)
		if s.Repeat > 1 {
			names[r.Done] += fmt.Sprintf(" #%d", r.Number)
		}
	}
	return scenarios.WriteJUnit(s.Dir, began, done, func(d *scenarios.Done) string { return names[d] })
}
