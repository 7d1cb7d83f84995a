// Package compare puts the runs of the same scenarios on two engines side by
// side, and says where they do not give the same answers.
package compare

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"peerlab/observe"
	"peerlab/scenarios"
)

// Grace is how much later than theory allows something may be noticed on
// containers: ticks that do not line up, and a host that has other things to do.
const Grace = 2 * time.Second

// Row is one scenario, with its arm, on both engines.
type Row struct {
	Scenario string `json:"scenario"`
	// Verdicts of the first and the second engine.
	Verdicts [2]observe.Verdict `json:"verdicts"`
	Figures  []Figure           `json:"figures"`
	// Differs says what does not agree, nothing if all does.
	Differs []string `json:"differs"`
	// Skipped says why the scenario ended itself on one of the engines, for what
	// that does not have: then there is nothing to compare.
	Skipped string `json:"skipped,omitempty"`
}

// Figure is one latency, on both engines, over all runs.
type Figure struct {
	Name    string             `json:"name"`
	Engines [2]observe.Summary `json:"engines"`        // in seconds
	Band    *observe.Band      `json:"band,omitempty"` // what theory expects, nil where it says nothing
	// Judged is false for what the engines do differently by nature: it is shown.
	Judged bool `json:"judged"`
}

// Rows pairs runs by scenario, in the order of the first engine's. Two engines
// give the same answer to a scenario when their verdicts are the same, and those
// of each of its checks, and when each latency lies in the band that theory
// gives for it, on the second engine with Grace, or, where theory gives none,
// when the medians are no further apart than Grace and half the larger one. The
// error says which run's directory cannot be read.
func Rows(first, second []*scenarios.Done) (rows []Row, err error) {
	of := func(done []*scenarios.Done, name string) (some []*scenarios.Done) {
		for _, d := range done {
			if d.Name == name {
				some = append(some, d)
			}
		}
		return some
	}
	seen := make(map[string]bool)
	for _, d := range first {
		if seen[d.Name] {
			continue
		}
		seen[d.Name] = true
		r, err := row(d.Name, of(first, d.Name), of(second, d.Name))
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func row(name string, first, second []*scenarios.Done) (r Row, err error) {
	r.Scenario = name
	both := [2][]*scenarios.Done{first, second}
	for i, runs := range both {
		if len(runs) == 0 {
			r.Verdicts[i] = observe.Inconclusive
			continue
		}
		r.Verdicts[i] = observe.Pass
		for _, d := range runs {
			r.Verdicts[i] = scenarios.Worse(r.Verdicts[i], d.Verdict)
			if d.Cause == observe.CauseSkipped {
				r.Skipped = d.Reason
			}
		}
	}
	if r.Skipped != "" {
		return r, nil
	}
	if r.Verdicts[0] != r.Verdicts[1] {
		r.differ("verdict: %s and %s", r.Verdicts[0], r.Verdicts[1])
	}
	checks := [2]map[string]observe.Verdict{checked(first), checked(second)}
	for _, h := range observe.Checks() {
		a, b := checks[0][h.Name], checks[1][h.Name]
		if a != b && len(first) > 0 && len(second) > 0 && r.Verdicts[0] == r.Verdicts[1] {
			r.differ("check %s: %s and %s", h.Name, or(a), or(b))
		}
	}
	if r.Figures, err = figures(both); err != nil {
		return r, err
	}
	for _, f := range r.Figures {
		if why := f.differs(); f.Judged && why != "" {
			r.differ("%s: %s", f.Name, why)
		}
	}
	return r, nil
}

func (r *Row) differ(format string, args ...any) {
	r.Differs = append(r.Differs, fmt.Sprintf(format, args...))
}

func or(v observe.Verdict) string {
	if v == "" {
		return "not judged"
	}
	return string(v)
}

// checked are the checks that the scenario made, each with the worst verdict.
func checked(runs []*scenarios.Done) map[string]observe.Verdict {
	worst := make(map[string]observe.Verdict)
	for _, d := range runs {
		for _, c := range d.Checks {
			before, ok := worst[c.Name]
			if worst[c.Name] = c.Verdict; ok {
				worst[c.Name] = scenarios.Worse(before, c.Verdict)
			}
		}
	}
	return worst
}

// latencies are the measures that are compared.
var latencies = []string{"detection", "isolation"}

// figures measures all runs, whatever their scenario measures.
func figures(both [2][]*scenarios.Done) (all []Figure, err error) {
	values := [2]map[string][]float64{{}, {}}
	bands := make(map[string]*observe.Band)
	var names []string
	for i, runs := range both {
		for _, d := range runs {
			record, err := observe.Load(d.Dir)
			if err != nil {
				return nil, err
			}
			for _, measure := range latencies {
				measured, err := observe.Measure(record, measure)
				if err != nil {
					return nil, err
				}
				for _, f := range measured.Figures {
					name := measure + " " + f.Name
					if len(f.Values) == 0 {
						continue
					}
					if !slices.Contains(names, name) {
						names = append(names, name)
					}
					values[i][name] = append(values[i][name], f.Values...)
					bands[name] = wider(bands[name], f.Expected)
				}
			}
		}
	}
	for _, name := range names {
		f := Figure{Name: name, Band: bands[name], Judged: !strings.Contains(name, "pause") && !strings.Contains(name, "concurrent")}
		for i := range both {
			f.Engines[i] = observe.Summarize(values[i][name])
		}
		all = append(all, f)
	}
	return all, nil
}

func wider(a, b *observe.Band) *observe.Band {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	return &observe.Band{Least: min(a.Least, b.Least), Expected: (a.Expected + b.Expected) / 2, Most: max(a.Most, b.Most)}
}

// differs says why a latency is not the same on both engines, "" if it is.
func (f Figure) differs() string {
	a, b := f.Engines[0], f.Engines[1]
	if a.N == 0 || b.N == 0 {
		return "one engine noticed, the other did not"
	}
	if f.Band == nil {
		apart := max(a.Median, b.Median) - min(a.Median, b.Median)
		if apart > Grace.Seconds()+max(a.Median, b.Median)/2 {
			return fmt.Sprintf("%.2f s and %.2f s", a.Median, b.Median)
		}
		return ""
	}
	for i, s := range f.Engines {
		most := f.Band.Most + float64(i)*Grace.Seconds()
		if s.Min < f.Band.Least || s.Max > most {
			return fmt.Sprintf("%.2f to %.2f s is not within %.2f to %.2f s", s.Min, s.Max, f.Band.Least, most)
		}
	}
	return ""
}
