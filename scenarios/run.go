// Package scenarios runs experiments that are written as text: a cluster, what
// is done to it, what must come true and by when. It runs the same file on any
// engine of package testbed.
//
// A scenario is compiled to steps when it is checked, and a run is a loop over
// them.
//
// It uses plain time and waits on channels only, so that it can itself run in
// virtual time.
package scenarios

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"peerlab/event"
	"peerlab/internal/terminal"
	"peerlab/observe"
	"peerlab/testbed"
	"peerlab/testbed/timekeeper"
)

// Result is what one run came to.
type Result struct {
	observe.Record
	// Story is the failure for people: the line, what each peer held, the last
	// events. Empty for a pass.
	Story string
}

// Progress is told of each line before it runs, if it does, and of what a line
// has to show, at the time since the beginning; line is 0 for what no line says.
// It is called by one goroutine at a time.
type Progress func(at time.Duration, line int, text string)

// Options say how a plan is run.
type Options struct {
	Progress Progress
	// Interrupted, if set, is asked before each line and after each event: an error
	// ends the run. It is for those who cannot cancel the context, such as virtual
	// time. It must not wait.
	Interrupted func() error
	// Logs is where what the peers logged is put if the run does not pass.
	Logs Logs
}

// run is one run of a plan.
type run struct {
	plan   *Plan
	record *observe.Record
	tell   Progress
	engine testbed.Engine
	reader *testbed.Reader
	world  *world
	began  time.Time
	asked  *observe.Asked // what the present line asks, if it judges
	output string         // what the line before wrote
	// background are the lines that were begun in the background and for which no
	// line has waited yet.
	background []*backgroundStep

	interrupted func() error // Options.Interrupted

	ctx   context.Context
	abort context.CancelCauseFunc // with what makes the run inconclusive
	tasks sync.WaitGroup

	mu       sync.Mutex
	failed   error // what makes the run inconclusive
	expected map[string]bool
	stalls   map[string]context.CancelFunc
	stalled  map[string]chan struct{} // closed when the stall has ended
}

// Run runs the plan on a new cluster and removes it again.
func (p *Plan) Run(ctx context.Context, f testbed.Factory, o Options) *Result {
	res := &Result{Record: observe.Record{
		Scenario: p.Name(), Engine: f.Name(), Settings: p.Spec.Settings, Own: p.Spec.Own, Used: f.Used(p.Spec), Peers: p.Spec.Peers, Model: p.model, Asked: []observe.Asked{}, Began: time.Now(),
	}}
	if o.Progress == nil {
		o.Progress = func(time.Duration, int, string) {}
	}
	var telling sync.Mutex // lines in the background tell, too
	tell := func(at time.Duration, line int, text string) {
		telling.Lock()
		defer telling.Unlock()
		o.Progress(at, line, text)
	}
	r := &run{plan: p, record: &res.Record, tell: tell, interrupted: o.Interrupted, began: res.Began, expected: map[string]bool{}, stalls: map[string]context.CancelFunc{}, stalled: map[string]chan struct{}{}}
	var failure error // of a line
	r.ctx, r.abort = context.WithCancelCause(ctx)
	defer r.abort(errOver)
	engine, err := f.Create(r.ctx, p.Spec)
	if err != nil {
		r.stop(fmt.Errorf("create the cluster: %w", err))
	} else {
		r.engine, r.world, r.reader = engine, newWorld(engine, p.Scenario.beside, p.model), engine.History().Reader()
		failure = r.all()
	}
	r.judge(res, failure)
	res.Ended = time.Now()
	if r.engine == nil {
		return res
	}
	res.Events = r.world.events
	p.redactResult(res)
	if o.Logs != nil && res.Verdict != observe.Pass {
		r.saveLogs(o.Logs)
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := r.engine.Close(closing); err != nil && res.Verdict == observe.Pass {
		res.Verdict, res.Reason, res.Cause = observe.Inconclusive, "remove the cluster: "+terminal.Join(err.Error()), observe.CauseTrouble
	}
	return res
}

// errOver ends what still runs in the background when the lines have ended.
var errOver = errors.New("the scenario is over")

// note tells people what no line says, and writes it into the history.
func (r *run) note(text string) {
	text = r.plan.Redact(text)
	r.tell(time.Since(r.began), 0, text)
	r.engine.History().Record(event.Event{Kind: testbed.LabMark, Text: text})
}

// stop makes the run inconclusive: nothing that follows can be believed.
func (r *run) stop(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil && !errors.Is(err, errOver) {
		r.failed = err
	}
	r.abort(err)
}

func (r *run) trouble() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// all runs the steps, and returns the failure of the first that fails.
func (r *run) all() error {
	defer r.tasks.Wait()
	defer r.abort(errOver)
	if err := r.engine.Start(r.ctx, testbed.Bootstrap); err != nil {
		r.stop(fmt.Errorf("start the bootstrap service: %w", err))
		return nil
	}
	if r.record.Engine != "sim" { // where nothing is late
		r.tasks.Go(func() { timekeeper.Watch(r.ctx, r.engine.History()) })
	}
	for i := range r.plan.steps {
		s := &r.plan.steps[i]
		if r.ended() {
			return nil
		}
		if !s.active {
			continue
		}
		r.tell(time.Since(r.began), s.line.number, s.line.text)
		r.engine.History().Record(event.Event{Kind: testbed.LabMark, Text: fmt.Sprintf("%s:%d: %s", r.plan.Scenario.Path, s.line.number, s.line.text)})
		if err := r.step(s); err != nil {
			return err
		}
	}
	if r.ended() {
		return nil
	}
	err := r.join(io.Discard)
	r.catchUp()
	if r.trouble() != nil {
		return nil
	}
	return err
}

// ended reports whether no further step is to run.
func (r *run) ended() bool {
	if err := context.Cause(r.ctx); err != nil {
		r.stop(err)
	}
	return r.uninterrupted() != nil
}
