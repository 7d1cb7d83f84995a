package observe

import (
	"time"

	"peerlab/event"
	"peerlab/observe/theory"
	"peerlab/testbed"
)

// Verdict is how a run ended.
type Verdict string

// The verdicts. Inconclusive is a run that could not tell, such as one on a host
// that did not keep time: it is never as good as a pass.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive"
)

// Record is one run of a scenario: what was run, how it ended, and everything
// that happened.
type Record struct {
	Scenario string
	Engine   string // docker, sim
	// Seed is that of the engine's randomness, 0 where it has none.
	Seed uint64
	// Settings of every peer and Own of single ones, as in testbed.Spec.
	Settings map[string]string
	Own      map[string]map[string]string
	// Model is what the theory goes by; a zero Model expects nothing.
	Model theory.Model
	// Began and Ended are by the clock of the run: virtual in a simulator.
	Began, Ended time.Time

	Verdict Verdict
	// Reason is one line that says why the verdict is not pass.
	Reason string
	// Checks and Measures are the results of those that the scenario asked for.
	Checks   []Checked
	Measures []Measured

	Events []event.Event
}

// Busy returns what the history tells of a host that did not keep time.
func (r *Record) Busy() []event.Event {
	var busy []event.Event
	for _, e := range r.Events {
		if e.Kind == testbed.LabBusy {
			busy = append(busy, e)
		}
	}
	return busy
}
