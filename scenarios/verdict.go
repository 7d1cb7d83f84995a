package scenarios

import (
	"errors"
	"fmt"

	"peerlab/observe"
	"peerlab/testbed"
)

// Worse returns the one of two verdicts that counts for both: a failure is
// known, so it counts more than what could not be told.
func Worse(a, b observe.Verdict) observe.Verdict {
	switch {
	case a == observe.Fail || b == observe.Fail:
		return observe.Fail
	case a == observe.Inconclusive || b == observe.Inconclusive:
		return observe.Inconclusive
	}
	return observe.Pass
}

// outcome is a line that did not come true: the scenario fails.
type outcome struct{ text string }

func (o *outcome) Error() string { return o.text }

// verdictOf is what a line comes to that ends with this.
func verdictOf(err error) observe.Verdict {
	switch {
	case err == nil:
		return observe.Pass
	case errors.As(err, new(*outcome)):
		return observe.Fail
	}
	return observe.Inconclusive
}

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

// causeOf is the kind of what makes a run inconclusive.
func causeOf(err error) observe.Cause {
	switch {
	case errors.As(err, new(*skipped)):
		return observe.CauseSkipped
	case errors.As(err, new(*lost)):
		return observe.CauseLost
	case errors.As(err, new(*testbed.NoEffectError)):
		return observe.CauseNoEffect
	case errors.Is(err, testbed.ErrUnable):
		return observe.CauseUnable
	}
	return observe.CauseTrouble
}
