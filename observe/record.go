package observe

import (
	"fmt"
	"slices"
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

func (v Verdict) known() bool { return v == Pass || v == Fail || v == Inconclusive }

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
	// Used are all settings of every peer, those that nobody asked for among them,
	// as testbed.Factory.Used has them; nil in a record from before they were kept.
	Used map[string]string
	// Peers are the names of the cluster's peers, in the order of the scenario.
	Peers []string
	// Model is what the theory goes by; a zero Model expects nothing.
	Model theory.Model
	// Began and Ended are by the clock of the run: virtual in a simulator.
	Began, Ended time.Time

	Verdict Verdict
	// Reason is one line that says why the verdict is not pass.
	Reason string
	// Failed is the line that failed, nil unless the verdict is fail.
	Failed *FailedLine
	// Cause is why the run is inconclusive, empty for other verdicts.
	Cause Cause
	// Checks and Measures are the results of those that the scenario asked for.
	Checks   []Checked
	Measures []Measured
	// Asked are the lines that judged, in their order; nil in a record from
	// before they were kept.
	Asked []Asked

	Events []event.Event

	// Since is from when on Measure counts, the zero time for all of the run. It
	// is not saved.
	Since time.Time
}

// FailedLine is the line of a scenario that failed.
type FailedLine struct {
	Line int `json:"line"` // from 1
	// Column is where its command begins, from 1; 0 in runs saved by a program that
	// did not know it.
	Column int    `json:"column,omitempty"`
	Text   string `json:"text"` // as it is written
	// Why is what was found instead; it can have several lines.
	Why string `json:"why"`
}

// Cause is a kind of reason for which a run is inconclusive.
type Cause string

const (
	// CauseSkipped is a scenario that ended itself, because this host or this
	// engine lacks something.
	CauseSkipped Cause = "skipped"
	// CauseBusy is a host that did not keep time.
	CauseBusy Cause = "host busy"
	// CauseNoEffect is a fault that was measured to do nothing.
	CauseNoEffect Cause = "fault without effect"
	// CauseLost is a peer that ended although nothing in the scenario ends it.
	CauseLost Cause = "peer lost"
	// CauseUnable is what the engine or the host cannot do.
	CauseUnable Cause = "unable"
	// CauseTrouble is any other error.
	CauseTrouble Cause = "error"
)

// Asked is a line of the scenario that judged the history: an await, a hold, a
// check or a measure. With the events it has what is needed to judge again.
type Asked struct {
	Line int `json:"line"`
	// Text is the line as it is written.
	Text string `json:"text"`
	// Prefix is ! for a line that had to fail, ? for one that might.
	Prefix string `json:"prefix,omitempty"`
	// Words are the verb and its arguments, variables replaced.
	Words []string `json:"words"`
	// From and To are how many events had been read when the line first looked,
	// and when it last did. Conditions on events count from the event with the
	// index Mark.
	From int `json:"from"`
	To   int `json:"to"`
	Mark int `json:"mark,omitempty"`
	// Ended is when it last looked.
	Ended time.Time `json:"ended"`
	// Unseen says that it asked the cluster for what the history does not tell.
	Unseen bool `json:"unseen,omitempty"`
	// Verdict is what it came to, before Prefix, and Found why that is no pass.
	Verdict Verdict `json:"verdict"`
	Found   string  `json:"found,omitempty"`
}

// Came is what the line came to for the scenario: a line with ! passes when it
// fails, and one with ? either way.
func (a Asked) Came() Verdict {
	switch {
	case a.Verdict == Inconclusive:
		return Inconclusive
	case a.Prefix == "?", a.Prefix == "!" && a.Verdict == Fail, a.Prefix == "" && a.Verdict == Pass:
		return Pass
	}
	return Fail
}

// Until returns the record as it was at the end of a line.
func (r *Record) Until(a Asked) *Record {
	part := *r
	part.Events, part.Ended = r.Events[:a.To], a.Ended
	return &part
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

// SinceMark returns the record with Since set to the last mark with this text.
// That there is none is an error.
func (r *Record) SinceMark(text string) (*Record, error) {
	for i, mark := range slices.Backward(r.Events) {
		if mark.Kind != testbed.LabMark || mark.Text != text {
			continue
		}
		part := *r
		part.Since, part.Events = mark.Time, slices.Clone(r.Events)
		for j, e := range part.Events[:i] {
			// In virtual time the lab can act at the instant of the mark, before it.
			if e.Peer == testbed.Lab && !e.Time.Before(mark.Time) {
				part.Events[j].Time = mark.Time.Add(-1)
			}
		}
		return &part, nil
	}
	return nil, fmt.Errorf("there is no mark %q since which to measure", text)
}
