package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"peerlab/event"
	"peerlab/internal/terminal"
	"peerlab/observe"
	"peerlab/testbed"
)

// Again is what a saved run comes to when it is judged again.
type Again struct {
	Verdict observe.Verdict
	// Reason is one line that says why the verdict is not pass.
	Reason string
	// Lines are those of the scenario that judged, as they come out now, and
	// Was what each came to in the run.
	Lines []observe.Asked
	Was   []observe.Verdict
	// Checks and Measures are the results of those that the lines asked for,
	// and then of those asked for by name.
	Checks   []observe.Checked
	Measures []observe.Measured
	// Note says what could not be judged again, "" for nothing.
	Note string
}

// JudgeAgain judges a saved run again, with the checks and conditions of this
// program: the lines of the scenario that judged, each by the part of the
// history that it had, and then the checks and measures of these names, by all
// of it. What no event tells stays as it was: a line that asked the cluster, a
// command that failed, a run that could not tell. An unknown name is an error.
func JudgeAgain(r *observe.Record, names ...string) (*Again, error) {
	a := &Again{Verdict: r.Verdict, Reason: r.Reason}
	p := replay{record: r, scene: newScene(nil, arm{}, nil), world: newWorld(nil, nil, r.Model), into: a}
	p.scene.spec, p.scene.defined = testbed.Spec{Peers: r.Peers, Settings: r.Settings, Own: r.Own}, true
	for _, asked := range r.Asked {
		p.line(asked)
	}
	a.settle(r)
	checks, measures := known(names, observe.Checks()), known(names, observe.Measures())
	for _, name := range names {
		if !slices.Contains(checks, name) && !slices.Contains(measures, name) {
			return nil, fmt.Errorf("there is no check and no measure %q", name)
		}
	}
	if r.Asked == nil {
		a.Note = "recorded without what its lines asked: await, hold and the conditions of check stay as they were, checks and measures judge all that happened"
		for _, c := range r.Checks {
			checks = append(checks, c.Name)
		}
		for _, m := range r.Measures {
			measures = append(measures, m.Name)
		}
	}
	return a, a.byName(r, checks, measures)
}

// known are those of names that the list has.
func known(names []string, list []observe.Help) (some []string) {
	for _, h := range list {
		if slices.Contains(names, h.Name) {
			some = append(some, h.Name)
		}
	}
	return some
}

// settle says what the lines come to together.
func (a *Again) settle(r *observe.Record) {
	if r.Verdict == observe.Inconclusive {
		return // nothing in it can be believed
	}
	held := true
	for _, l := range a.Lines {
		if l.Came() == observe.Pass {
			continue
		}
		held = false
		found := l.Found
		if l.Verdict == observe.Pass {
			found = "it holds"
		}
		a.worse(l.Came(), fmt.Sprintf("line %d: %s: %s", l.Line, ShortLine(l.Text), terminal.FirstLine(found)))
	}
	// The run ended with the line that failed.
	if n := len(a.Was); held && n > 0 && r.Verdict == observe.Fail && a.Was[n-1] == observe.Fail {
		a.Verdict = observe.Inconclusive
		a.Reason = fmt.Sprintf("line %d, with which the run ended, comes true now: what follows it has not been run", a.Lines[n-1].Line)
	}
}

// worse takes a verdict into account. The first reason for the worst stays.
func (a *Again) worse(v observe.Verdict, reason string) {
	if w := Worse(a.Verdict, v); w != a.Verdict {
		a.Verdict, a.Reason = w, reason
	}
}

// byName judges and measures the whole history.
func (a *Again) byName(r *observe.Record, checks, measures []string) error {
	for _, name := range checks {
		checked, err := observe.Check(r, name)
		if err != nil {
			return err
		}
		a.Checks = append(a.Checks, checked)
		a.worse(checked.Verdict, terminal.FirstLine(checked.String()))
	}
	for _, name := range measures {
		measured, err := observe.Measure(r, name)
		if err != nil {
			return err
		}
		a.Measures = append(a.Measures, measured)
	}
	return nil
}

// replay goes through a history again as a run went through it.
type replay struct {
	record *observe.Record
	scene  *scene
	world  *world
	into   *Again
}

// line judges a line again.
func (p *replay) line(asked observe.Asked) {
	now := asked
	if !asked.Unseen {
		now.Verdict, now.Found = observe.Pass, ""
		p.until(asked.From)
		if err := p.judge(asked); err != nil {
			now.Verdict, now.Found = verdictOf(err), strings.TrimSpace(err.Error())
		}
		p.until(asked.To)
	}
	p.into.Lines, p.into.Was = append(p.into.Lines, now), append(p.into.Was, asked.Came())
}

// judge returns an outcome for a line that does not come true, and another
// error for one that cannot be told.
func (p *replay) judge(asked observe.Asked) error {
	a := args{words: make([]word, len(asked.Words)), text: asked.Words, mayFail: true}.rest(1)
	verb := asked.Words[0]
	switch {
	case verb == "measure":
		all, err := parseMeasuring(a.text).of(p.record.Until(asked))
		p.into.Measures = append(p.into.Measures, all...)
		return err
	case verb == "check" && len(a.text) == 1:
		checked, err := observe.Check(p.record.Until(asked), a.text[0])
		if err != nil {
			return err
		}
		p.into.Checks = append(p.into.Checks, checked)
		return of(checked)
	case verb == "check":
	case (verb == "await" || verb == "hold") && len(a.text) > 1:
		a = a.rest(1)
	default:
		return fmt.Errorf("%s judges nothing", verb)
	}
	compiled, err := parseCondition(p.scene, a)
	if err != nil {
		return err
	}
	c := compiled.instance()
	if c.question != nil {
		return fmt.Errorf("no event tells whether %s", ShortLine(c.text))
	}
	p.world.from = asked.Mark
	if verb == "hold" {
		p.world.mark()
	}
	c.begin(p.world)
	for {
		ok, read := c.holds(p.world), len(p.world.events)
		switch {
		case ok && verb == "await", ok && read == asked.To:
			return nil
		case !ok && verb != "await":
			return broken(p.world, after(p.world.events[asked.From:]), c)
		case read == asked.To:
			return tooLate(p.world, asked.Words[1], c, asked.Ended)
		}
		c.take(p.world, p.world.add(p.record.Events[read]))
	}
}

// after is how long the events took from first to last.
func after(events []event.Event) time.Duration {
	if len(events) == 0 {
		return 0
	}
	return events[len(events)-1].Time.Sub(events[0].Time)
}

// until reads the history up to where so many events have been read.
func (p *replay) until(n int) {
	for i := len(p.world.events); i < n; i++ {
		p.world.add(p.record.Events[i])
	}
}
