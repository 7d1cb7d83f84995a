package scenarios

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"peerlab/internal/terminal"
)

// step is a line of a scenario, compiled. It is not changed by a run: several
// runs of a plan share it.
type step struct {
	line   line     // its text without secrets
	active bool     // the conditions in brackets hold
	words  []string // of the arguments, variables replaced
	judges bool     // what it comes to follows from the history
	// answers says that what it writes takes the place of what the line before
	// wrote even if it writes nothing.
	answers bool
	do      action
}

// lineError is the failure of a line.
type lineError struct {
	line line
	err  error
}

// text is the line as it is written.
func (e *lineError) text() string { return strings.TrimSpace(e.line.text) }

func (e *lineError) Error() string {
	return fmt.Sprintf("line %d: %s: %v", e.line.number, ShortLine(e.text()), e.err)
}
func (e *lineError) Unwrap() error { return e.err }

// ShortLine is a line of a scenario, or a part of it, as it is shown before what
// it came to: not so long that nobody finds that.
func ShortLine(text string) string {
	const most = 80
	return terminal.Shorten(strings.ReplaceAll(strings.TrimSpace(text), "\t", " "), most)
}

// failure returns what it means for the scenario that the step ended with err:
// nil if that is as the line says.
func (s *step) failure(err error) error {
	var waited *lineError
	switch {
	case errors.As(err, &waited): // of a line in the background, whose own prefix has been looked at
		return waited
	case err == nil && s.line.prefix == "!":
		err = &outcome{text: "it succeeded, and ! says that it must fail"}
	case err == nil || s.line.prefix != "":
		return nil
	}
	return &lineError{line: s.line, err: err}
}

// step runs one step and returns its failure. A run that has become inconclusive
// has none.
func (r *run) step(s *step) error {
	r.catchUp()
	if s.line.background {
		r.runInBackground(s)
		return nil
	}
	var out bytes.Buffer
	if s.judges {
		r.ask(s)
	}
	err := r.act(s, &out)
	if s.judges {
		r.answered(err)
	}
	if s.answers || out.Len() > 0 { // else what the line before wrote stays readable
		r.output = out.String()
	}
	r.catchUp()
	if r.trouble() != nil {
		return nil
	}
	return s.failure(err)
}

// act does what a step says. Whatever goes wrong, except that the line does not
// come true, makes the run inconclusive.
func (r *run) act(s *step, out io.Writer) error {
	err := s.do(r.ctx, r, out)
	if err != nil && !errors.As(err, new(*outcome)) {
		if cause := context.Cause(r.ctx); cause != nil {
			err = cause
		}
		r.stop(err)
	}
	return err
}

// backgroundStep is a step that runs in the background.
type backgroundStep struct {
	*step
	out  bytes.Buffer
	err  error
	done chan struct{} // closed when out and err are complete
}

// runInBackground begins a step. The run waits for it before it ends.
func (r *run) runInBackground(s *step) {
	b := &backgroundStep{step: s, done: make(chan struct{})}
	r.background, r.output = append(r.background, b), ""
	r.tasks.Go(func() {
		defer close(b.done)
		b.err = r.act(s, &b.out)
	})
}

// join waits for what runs in the background, and writes what it wrote. The
// error is the failure of the first of those lines, which names the others that
// failed.
func (r *run) join(out io.Writer) error {
	var first *lineError
	for _, b := range r.background {
		<-b.done
		_, _ = out.Write(b.out.Bytes())
		var failed *lineError
		switch err := b.failure(b.err); {
		case !errors.As(err, &failed):
		case first == nil:
			first = failed
		default:
			first = &lineError{line: first.line, err: fmt.Errorf("%w; %w", first.err, failed)}
		}
	}
	r.background = nil
	if first == nil {
		return nil
	}
	return first
}
