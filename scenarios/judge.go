package scenarios

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"peerlab/observe"
)

// sofar is the record of the run up to now.
func (r *run) sofar() *observe.Record {
	r.catchUp()
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
	switch checked.Verdict {
	case observe.Pass:
		return nil
	case observe.Fail:
		return &outcome{text: strings.TrimSpace(checked.String())}
	}
	return errors.New(strings.TrimSpace(checked.String()))
}

// measure takes measures of the history so far and shows them.
func (r *run) measure(names []string, out io.Writer) error {
	record := r.sofar()
	for _, name := range names {
		measured, err := observe.Measure(record, name)
		if err != nil {
			return err
		}
		r.record.Measures = append(r.record.Measures, measured)
		text := measured.String()
		fmt.Fprint(out, text)
		for line := range strings.Lines(text) {
			r.tell(time.Since(r.began), 0, strings.TrimSuffix(line, "\n"))
		}
	}
	return nil
}
