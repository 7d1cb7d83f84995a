package scenarios

import (
	"errors"
	"fmt"
	"strings"

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

func (s *skipped) Error() string { return skippedReason + s.reason }

// skippedReason begins the Reason of a run that ended itself.
const skippedReason = "skipped: "

// Skipped says that the scenario ended itself, for something that this host or
// this engine does not have.
func (r *Result) Skipped() bool {
	return r.Verdict == observe.Inconclusive && strings.HasPrefix(r.Reason, skippedReason)
}

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

// Status is the exit status that stands for a verdict: 0, 1, or 2 for what
// could not be told.
func Status(v observe.Verdict) int {
	switch v {
	case observe.Pass:
		return 0
	case observe.Fail:
		return 1
	}
	return 2
}
