package scenarios

import (
	"errors"
	"fmt"

	"peerlab/testbed"
)

// Verdict is what a run comes to. "Could not tell" is never a pass.
type Verdict string

// The verdicts. Inconclusive is a fault without effect, a host too busy to keep
// time, a peer lost to something the scenario did not do, something that cannot
// be done here, or an engine in trouble.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive"
)

// Status is the exit status that stands for the verdict: 0, 1 or 2.
func (v Verdict) Status() int {
	switch v {
	case Pass:
		return 0
	case Fail:
		return 1
	}
	return 2
}

// Worse returns the one of two verdicts that counts for both: a failure is
// known, so it counts more than what could not be told.
func Worse(a, b Verdict) Verdict {
	switch {
	case a == Fail || b == Fail:
		return Fail
	case a == Inconclusive || b == Inconclusive:
		return Inconclusive
	}
	return Pass
}

// outcome is a line that did not come true: the scenario fails.
type outcome struct{ text string }

func (o *outcome) Error() string { return o.text }

// skipped is the end of a scenario by its own decision.
type skipped struct{ reason string }

func (s *skipped) Error() string { return "skipped: " + s.reason }

// lost is a peer that ended and that nothing in the scenario had end.
type lost struct{ peer, how string }

func (l *lost) Error() string {
	return fmt.Sprintf("%s was lost to something the scenario did not do: %s", l.peer, l.how)
}

// trouble says why a run cannot be told, in words of its own where it knows.
func trouble(err error) string {
	var noEffect *testbed.NoEffectError
	switch {
	case errors.As(err, &noEffect):
		return "a fault had no effect: " + noEffect.Error()
	case errors.Is(err, testbed.ErrClosed):
		return "the engine ended before the scenario did"
	}
	return err.Error()
}
