package explore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"peerlab/internal/terminal"
	"peerlab/observe"
	"peerlab/scenarios"
	"peerlab/testbed"
	"peerlab/testbed/sim"
)

// failure is how a schedule failed. Two with the same key are taken for the
// same bug.
type failure struct {
	key    string
	why    string // for people, one line
	story  string
	judged judgement
	// step is the one whose line failed, zero for what is not one line's.
	step step
	// blocked says that the simulation could not go on: each such run leaves
	// behind what is blocked.
	blocked bool
}

// trial is what one run came to: a failure, or why it could not tell, or
// neither.
type trial struct {
	failed *failure
	unable error
}

// name is that of a schedule as a scenario file.
const name = "found" + scenarios.Extension

// try runs a schedule once.
func try(ctx context.Context, host scenarios.Host, seed uint64, s schedule) trial {
	var res *scenarios.Result
	err := host(ctx, seed, func(ctx context.Context, f testbed.Factory) error {
		sc, err := scenarios.Parse(name, s.text())
		if err != nil {
			return err
		}
		plans, err := sc.Plans(ctx, f, "", nil)
		if err != nil {
			return err
		}
		res = plans[0].Run(ctx, f, scenarios.Options{})
		return nil
	})
	var blocked *sim.BlockedError
	switch {
	case errors.As(err, &blocked):
		return trial{failed: &failure{key: "blocked", why: terminal.FirstLine(blocked.Error()), story: blocked.Error(), judged: always, blocked: true}}
	case err != nil:
		return trial{unable: err}
	}
	return s.judge(res)
}

// judge names the failure of a run.
func (s schedule) judge(res *scenarios.Result) trial {
	switch res.Verdict {
	case observe.Pass:
		return trial{}
	case observe.Inconclusive:
		return trial{unable: errors.New(res.Reason)}
	}
	f := &failure{why: res.Reason, story: res.Story, key: "a line that fails", judged: always}
	if res.Failed == nil || res.Failed.Line < 2 || res.Failed.Line > len(s.steps)+1 {
		return trial{failed: f}
	}
	f.why = terminal.FirstLine(scenarios.ShortLine(res.Failed.Text) + ": " + res.Failed.Why)
	st := s.steps[res.Failed.Line-2] // the first line is the cluster's
	f.step = st
	f.judged = st.judges
	switch st.verb {
	case await:
		f.key = map[judgement]string{together: "forming", converged: "views", complete: "chat complete"}[st.judges]
	case check:
		f.key = "check " + st.text
		if n := len(res.Checks); n > 0 && len(res.Checks[n-1].Broken) > 0 {
			broken := res.Checks[n-1].Broken[0]
			f.key += ": " + broken.Promise
			f.why = fmt.Sprintf("check %s: %s: %s", st.text, broken.Promise, broken.Witness)
			if broken.Promise == "integrity" || broken.Promise == "causal order" {
				f.judged = always
			}
		}
	default:
		f.key, f.judged = string(st.verb), always
	}
	f.why = strings.TrimSpace(f.why)
	return trial{failed: f}
}
