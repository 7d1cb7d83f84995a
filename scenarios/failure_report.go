package scenarios

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerlab/event"
	"peerlab/internal/terminal"
	"peerlab/observe"
	"peerlab/testbed"
)

// judge says what the run came to, given the failure of a line, if there was
// one.
func (r *run) judge(res *Result, failure error) {
	if r.engine != nil && r.trouble() == nil {
		r.catchUp()
		r.look()
	}
	if err := r.trouble(); err != nil {
		res.Verdict, res.Reason, res.Cause = observe.Inconclusive, terminal.Join(trouble(err)), causeOf(err)
		if res.Cause != observe.CauseSkipped {
			res.Story = r.story("could not tell: "+res.Reason, nil)
		}
		return
	}
	if busy := r.busy(); busy > tolerated(time.Since(r.began)) {
		res.Verdict, res.Cause = observe.Inconclusive, observe.CauseBusy
		res.Reason = fmt.Sprintf("the host was too busy to keep time, in %d seconds of %.0f", busy, time.Since(r.began).Seconds())
		res.Story = r.story("could not tell: "+res.Reason, failure)
		return
	}
	if failure == nil {
		res.Verdict = observe.Pass
		return
	}
	res.Verdict, res.Reason = observe.Fail, terminal.FirstLine(failure.Error())
	if failed := new(lineError); errors.As(failure, &failed) {
		res.Failed = &observe.FailedLine{Line: failed.line.number, Column: failed.line.name.col, Text: failed.text(), Why: failed.err.Error()}
	}
	res.Story = r.story("", failure)
}

// look finds peers whose process has ended though nobody had it end: a crash
// leaves no event.
func (r *run) look() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), 10*time.Second)
	defer cancel()
	peers, err := r.engine.Peers(ctx)
	if err != nil {
		r.stop(fmt.Errorf("how the peers are: %w", err))
		return
	}
	for _, p := range peers {
		if p.Name == testbed.Bootstrap || p.State != testbed.Stopped || !r.started(p.Name) {
			continue
		}
		if !r.mayEnd(p.Name) {
			r.stop(&lost{p.Name, howEnded(strconv.Itoa(p.Exit), p.Reason)})
		}
	}
}

// started says whether the scenario has started a peer.
func (r *run) started(name string) bool {
	for _, e := range r.world.events {
		if e.Kind == testbed.LabStart && e.Member == name {
			return true
		}
	}
	return false
}

// around is how many of the last events a story has.
const around = 15

// story tells what happened: the line, what each peer held, the last events.
func (r *run) story(begin string, failure error) string {
	var b strings.Builder
	if begin != "" {
		fmt.Fprintln(&b, begin)
	}
	var failed *lineError
	if errors.As(failure, &failed) {
		fmt.Fprintf(&b, "%s:%d:%d: %s\n%s\n", r.plan.Scenario.Path, failed.line.number, failed.line.name.col, ShortLine(failed.text()), indent(failed.err.Error()))
	} else if failure != nil {
		fmt.Fprintln(&b, failure)
	}
	if r.world == nil || len(r.world.events) == 0 {
		return b.String()
	}
	fmt.Fprintf(&b, "\nwhat each peer held the others to be:\n%s\n", indent(r.world.view.Table()))
	fmt.Fprintf(&b, "\nthe last events:\n")
	events := slices.DeleteFunc(slices.Clone(r.world.events), func(e event.Event) bool { return e.Kind.IsPeriodic() })
	for _, e := range events[max(0, len(events)-around):] {
		fmt.Fprintf(&b, "  %s\n", tell(r.plan.redactEvent(e), r.began))
	}
	return b.String()
}

// tell writes an event on one line.
func tell(e event.Event, began time.Time) string {
	words := []string{fmt.Sprintf("%+8.3fs", e.Time.Sub(began).Seconds()), e.Peer, string(e.Kind)}
	for _, w := range []string{e.Key, e.Member, e.Addr, e.Via, e.Message, e.Reason, e.Error} {
		if w != "" {
			words = append(words, w)
		}
	}
	if e.Kind == event.PeerHealth {
		words = append(words, strconv.Itoa(e.Health))
	}
	if e.Was != "" {
		words = append(words, "was "+e.Was)
	}
	if e.Text != "" {
		most := 50 // of a message: what is around it is to be found
		if e.Peer == testbed.Lab {
			most = 120 // a fault says of which links it is, a mark which line
		}
		words = append(words, terminal.Shorten(e.Text, most))
	}
	return terminal.Line(strings.Join(words, " "))
}

// Logs opens a file for what one peer logged.
type Logs func(peer string) (io.WriteCloser, error)

// logger is an engine that keeps what its peers log.
type logger interface {
	Logs(ctx context.Context, name string, follow bool, out, errs io.Writer) error
}

// saveLogs copies what the peers logged to files. It is only for reading: what
// cannot be had is missing.
func (r *run) saveLogs(open Logs) {
	engine, ok := r.engine.(logger)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), time.Minute)
	defer cancel()
	for _, name := range append([]string{testbed.Bootstrap}, r.plan.Spec.Peers...) {
		f, err := open(name)
		if err != nil {
			return
		}
		_ = engine.Logs(ctx, name, false, io.Discard, f)
		_ = f.Close()
	}
}
