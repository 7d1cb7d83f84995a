// Package scenarios runs experiments that are written as text: a cluster, what
// is done to it, what must come true and by when. It is built on rsc.io/script,
// and it runs the same file on any engine of package testbed.
//
// It uses plain time and waits on channels only, so that it can itself run in
// virtual time.
package scenarios

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rsc.io/script"

	"peerlab/event"
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

// Progress is told of each line before it runs, and of what a line has to show,
// at the time since the beginning.
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
	scene  *scene
	engine testbed.Engine
	reader *testbed.Reader
	world  *world
	state  *script.State
	began  time.Time
	line   line           // that runs now
	asked  *observe.Asked // what it asks, if it judges

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
		Scenario: p.Name(), Engine: f.Name(), Settings: p.Spec.Settings, Own: p.Spec.Own, Peers: p.Spec.Peers, Model: p.model, Asked: []observe.Asked{}, Began: time.Now(),
	}}
	if o.Progress == nil {
		o.Progress = func(time.Duration, int, string) {}
	}
	r := &run{plan: p, record: &res.Record, tell: o.Progress, interrupted: o.Interrupted, began: res.Began, expected: map[string]bool{}, stalls: map[string]context.CancelFunc{}, stalled: map[string]chan struct{}{}}
	var failure error // of a line
	r.ctx, r.abort = context.WithCancelCause(ctx)
	defer r.abort(nil)
	engine, err := f.Create(r.ctx, p.Spec)
	if err != nil {
		r.stop(fmt.Errorf("create the cluster: %w", err))
	} else {
		r.engine, r.world, r.reader = engine, newWorld(engine), engine.History().Reader()
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
		res.Verdict, res.Reason, res.Cause = observe.Inconclusive, "remove the cluster: "+err.Error(), observe.CauseTrouble
	}
	return res
}

// stop makes the run inconclusive: nothing that follows can be believed.
func (r *run) stop(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.failed = err
	}
	r.abort(err)
}

func (r *run) trouble() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// all runs the lines, and returns the failure of the first that fails.
func (r *run) all() error {
	defer r.tasks.Wait()
	defer r.abort(nil)
	if err := r.engine.Start(r.ctx, testbed.Bootstrap); err != nil {
		r.stop(fmt.Errorf("start the bootstrap service: %w", err))
		return nil
	}
	state, err := script.NewState(r.ctx, ".", []string{})
	if err != nil {
		r.stop(err)
		return nil
	}
	r.state = state
	if r.record.Engine != "sim" { // where nothing is late
		r.tasks.Go(func() { timekeeper.Watch(r.ctx, r.engine.History()) })
	}
	r.scene = newScene(nil, r.plan.arm, r.plan.given)
	engine := r.scriptEngine()
	lines := r.plan.Scenario.lines
	for i, l := range append(slices.Clip(lines), line{number: lines[len(lines)-1].number, text: "join", command: &command{name: word{parts: []part{{text: "join"}}}}}) {
		if r.uninterrupted() != nil {
			return nil
		}
		if i < len(lines) {
			text := r.plan.Redact(l.text)
			r.tell(time.Since(r.began), l.number, text)
			r.engine.History().Record(event.Event{Kind: testbed.LabMark, Text: fmt.Sprintf("%s:%d: %s", r.plan.Scenario.Path, l.number, text)})
		}
		if err := r.one(engine, l); err != nil {
			return err
		}
	}
	return nil
}

// one runs one line. Those before it are left blank, so that the script's
// engine counts as people do.
func (r *run) one(engine *script.Engine, l line) error {
	r.line = l
	for name := range r.scene.vars {
		if err := r.state.Setenv(name, r.scene.vars[name]); err != nil {
			r.stop(err)
			return nil
		}
	}
	text := strings.Repeat("\n", l.number-1) + l.script() + "\n"
	var log bytes.Buffer
	err := engine.Execute(r.state, r.plan.Scenario.Path, bufio.NewReader(strings.NewReader(text)), &log)
	r.catchUp()
	if r.trouble() != nil || err == nil {
		return nil
	}
	// What a line is about says more than that it failed.
	var failed *script.CommandError
	if errors.As(err, &failed) {
		return &lineError{number: failed.Line, text: r.text(failed.Line), err: failed.Err}
	}
	return &lineError{number: l.number, text: l.text, err: err}
}

// text is a line as it is written.
func (r *run) text(number int) string {
	for _, l := range r.plan.Scenario.lines {
		if l.number == number {
			return strings.TrimSpace(l.text)
		}
	}
	return ""
}

// lineError is the failure of a line.
type lineError struct {
	number int
	text   string
	err    error
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %s: %v", e.number, e.text, e.err) }
func (e *lineError) Unwrap() error { return e.err }

// scriptEngine has a command for each verb and each peer.
func (r *run) scriptEngine() *script.Engine {
	e := &script.Engine{Cmds: map[string]script.Cmd{}, Conds: map[string]script.Cond{}}
	for _, v := range verbs() {
		e.Cmds[v.name] = &scriptCommand{r, v.name, v.judges, script.CmdUsage{Summary: v.short, Args: v.args, Detail: []string{v.detail}, Async: v.inBackground}}
	}
	e.Cmds["join"] = script.Wait()
	for _, l := range r.plan.Scenario.lines {
		if name := l.name.raw(); e.Cmds[name] == nil { // peers, one or several
			e.Cmds[name] = &scriptCommand{r, name, false, script.CmdUsage{Summary: "run a line in " + name, Args: "LINE…", Async: true}}
		}
	}
	for tag, text := range guardTexts() {
		e.Conds[tag] = script.BoolCondition(text, r.plan.guards[tag])
	}
	e.Conds["arm"] = script.PrefixCondition("the run is of this arm", func(_ *script.State, name string) (bool, error) { return name == r.plan.Arm, nil })
	return e
}

// scriptCommand is a verb, or a peer, for rsc.io/script.
type scriptCommand struct {
	run    *run
	name   string
	judges bool
	usage  script.CmdUsage
}

func (c *scriptCommand) Usage() *script.CmdUsage { return &c.usage }

func (c *scriptCommand) Run(s *script.State, _ ...string) (script.WaitFunc, error) {
	args := c.run.line.args
	words, problem := c.run.scene.expand(args)
	if problem != nil {
		c.run.stop(problem) // lint let it pass
		return nil, problem
	}
	do, err := c.run.scene.parse(&command{prefix: "?", name: word{parts: []part{{text: c.name}}}, args: args}, words)
	if err != nil {
		c.run.stop(err) // lint let it pass
		return nil, err
	}
	var out bytes.Buffer
	act := func() error {
		err := do(s.Context(), c.run, &out)
		if err != nil && !errors.As(err, new(*outcome)) {
			if cause := context.Cause(c.run.ctx); cause != nil {
				err = cause
			}
			c.run.stop(err)
		}
		return err
	}
	if !c.usage.Async {
		c.run.catchUp()
		if c.judges {
			c.run.ask(c.name, words)
		}
		err := act()
		if c.judges {
			c.run.answered(err)
		}
		if out.Len() == 0 {
			return nil, err // what the line before wrote stays readable
		}
		return func(*script.State) (string, string, error) { return out.String(), "", err }, nil
	}
	done := make(chan error, 1)
	c.run.tasks.Go(func() { done <- act() })
	return func(*script.State) (string, string, error) {
		err := <-done
		return out.String(), "", err
	}, nil
}
