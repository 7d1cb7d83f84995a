package scenarios

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"peerlab/observe"
)

// ask notes a line that judges, before it does.
func (r *run) ask(s *step) {
	r.asked = &observe.Asked{
		Line: s.line.number, Text: strings.TrimSpace(s.line.text), Prefix: s.line.prefix, Words: append([]string{s.line.name.raw()}, s.words...),
		From: len(r.world.events), Mark: r.world.from,
	}
}

// asks notes whether the line asks the cluster for what no event tells.
func (r *run) asks(c condition) {
	if r.asked != nil {
		r.asked.Unseen = c.question != nil
	}
}

// answered keeps what the line came to.
func (r *run) answered(err error) {
	a := r.asked
	a.To, a.Ended, a.Verdict = len(r.world.events), time.Now().UTC(), verdictOf(err)
	if err != nil {
		a.Found = strings.TrimSpace(err.Error())
	}
	r.record.Asked, r.asked = append(r.record.Asked, *a), nil
}

// sofar is the record of the run up to now.
func (r *run) sofar() *observe.Record {
	record := *r.record
	record.Events, record.Ended = r.world.events, time.Now()
	return &record
}

// checkNamed judges the history so far by one of observe's checks.
func (r *run) checkNamed(name string) error {
	checked, err := observe.Check(r.sofar(), name)
	if err != nil {
		return err
	}
	r.record.Checks = append(r.record.Checks, checked)
	return of(checked)
}

// of is a check's result as that of a line.
func of(checked observe.Checked) error {
	switch checked.Verdict {
	case observe.Pass:
		return nil
	case observe.Fail:
		return &outcome{text: strings.TrimSpace(checked.String())}
	}
	return errors.New(strings.TrimSpace(checked.String()))
}

// measure takes measures of the history so far and shows them.
func (r *run) measure(q measuring, out io.Writer) error {
	q.since = r.plan.Redact(q.since)
	all, err := q.of(r.sofar())
	if err != nil {
		return err
	}
	r.record.Measures = append(r.record.Measures, all...)
	for _, measured := range all {
		text := measured.String()
		fmt.Fprint(out, text)
		for line := range strings.Lines(text) {
			r.tell(time.Since(r.began), 0, strings.TrimSuffix(line, "\n"))
		}
	}
	return nil
}

// measuring is what a measure line asks for.
type measuring struct {
	names  []string
	marked bool   // from a mark on
	since  string // its text
}

// parseMeasuring reads the words after measure.
func parseMeasuring(words []string) measuring {
	names, since, marked := cutAt(words, "since")
	if !marked {
		names = words
	}
	return measuring{names, marked, strings.Join(since, " ")}
}

// of takes the measures of a record.
func (q measuring) of(r *observe.Record) (all []observe.Measured, err error) {
	if q.marked {
		if r, err = r.SinceMark(q.since); err != nil {
			return nil, err
		}
	}
	for _, name := range q.names {
		measured, err := observe.Measure(r, name)
		if err != nil {
			return nil, err
		}
		measured.Since = q.since
		all = append(all, measured)
	}
	return all, nil
}
