package scenarios

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"peerlab/internal/suggest"
	"peerlab/observe/theory"
	"peerlab/testbed"
)

// Plan is a scenario ready to run: one arm of it, with its variables, in which
// nothing is wrong as far as can be told before it runs.
type Plan struct {
	Scenario *Scenario
	// Arm is the name of the arm, "" in a scenario without any.
	Arm string
	// Spec is the cluster it runs on.
	Spec testbed.Spec
	// Least is how long it takes if whatever it awaits is so at once.
	Least time.Duration
	// Uses are the verbs and the forms of conditions that occur in it.
	Uses []string

	arm    arm
	arms   []arm // all of the scenario, of which this is one
	model  theory.Model
	given  map[string]string
	steps  []step            // what a run does, line by line
	guards map[string]bool   // which conditions in brackets hold
	ends   map[string]bool   // peers that may end by themselves
	files  map[string]string // beside the scenario, that its lines name

	secrets  secrets // of the scenario, all arms
	redactor *strings.Replacer
}

// Name is the scenario's, with the arm.
func (p *Plan) Name() string {
	if p.Arm == "" {
		return p.Scenario.Name
	}
	return p.Scenario.Name + "/" + p.Arm
}

// Plans checks the scenario for an engine, all arms of it or only the one
// named, and returns what can be run. Variables are what --set says. Without an
// engine (nil) it checks what does not depend on one. The error is a Problems,
// all there are in the order of lines, unless the engine cannot be asked.
func (s *Scenario) Plans(ctx context.Context, f testbed.Factory, only string, set map[string]string) ([]*Plan, error) {
	var wrong Problems
	arms, problems := s.arms()
	all := arms
	wrong = append(wrong, problems...)
	var others []arm // that are not to run
	if only != "" {
		if i := indexOfArm(arms, only); i >= 0 {
			others = slices.Delete(slices.Clone(arms), i, i+1)
			arms = arms[i : i+1]
		} else if !s.names("arm", only) { // or else there is a mistake in its line
			wrong = append(wrong, &Problem{File: s.Path, Line: 1, Col: 1, Text: noArm(arms, only)})
		}
	}
	if len(wrong) == 0 {
		wrong = append(wrong, s.checkSet(arms, set)...)
	}
	guards, err := s.available(ctx, f)
	if err != nil {
		return nil, err
	}
	var plans []*Plan
	found := secrets{}
	for _, a := range arms {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		p := &Plan{Scenario: s, Arm: a.name, arm: a, arms: all, given: set, guards: guards, secrets: found}
		wrong = append(wrong, p.compile(ctx, f)...)
		plans = append(plans, p)
	}
	for _, a := range others { // the text has their secrets, too
		_ = (&Plan{Scenario: s, Arm: a.name, arm: a, arms: all, given: set, guards: guards, secrets: found}).compile(ctx, nil)
	}
	if len(wrong) > 0 {
		slices.SortStableFunc(wrong, func(a, b *Problem) int { return a.Line - b.Line })
		return nil, slices.CompactFunc(wrong, func(a, b *Problem) bool { return *a == *b })
	}
	redactor := found.redactor()
	for _, p := range plans {
		p.redactor = redactor
		for i := range p.steps {
			text := &p.steps[i].line.text
			*text = p.Redact(*text)
		}
	}
	return plans, nil
}

// arms returns those that the scenario declares, or else one without a name.
func (s *Scenario) arms() (arms []arm, wrong Problems) {
	for _, l := range s.lines {
		if l.name.raw() != "arm" {
			continue
		}
		a := args{words: l.args}
		for _, w := range l.args {
			a.text = append(a.text, w.raw())
		}
		made, err := parseArm(a)
		if err != nil {
			continue // compile says it, too
		}
		if len(l.guards) > 0 {
			wrong = append(wrong, &Problem{File: s.Path, Line: l.number, Col: l.guards[0].col, Text: "an arm has no condition"})
		}
		if indexOfArm(arms, made.name) >= 0 {
			wrong = append(wrong, &Problem{File: s.Path, Line: l.number, Col: l.args[0].col, Text: "there are two arms " + made.name})
			continue
		}
		arms = append(arms, made)
	}
	if arms == nil {
		arms = []arm{{}}
	}
	return arms, wrong
}

// indexOfArm returns where the arm of that name is, -1 for nowhere.
func indexOfArm(arms []arm, name string) int {
	return slices.IndexFunc(arms, func(a arm) bool { return a.name == name })
}

// noArm says that there is no arm of that name.
func noArm(arms []arm, name string) string {
	var names []string
	for _, a := range arms {
		if a.name != "" {
			names = append(names, a.name)
		}
	}
	if len(names) == 0 {
		return fmt.Sprintf("there is no arm %q: the scenario has no arms", name)
	}
	return fmt.Sprintf("there is no arm %q: %s", name, meant(name, names))
}

// Variables are the names of the variables that the scenario sets, by name.
func (s *Scenario) Variables() []string {
	arms, _ := s.arms()
	return s.variables(arms)
}

func (s *Scenario) variables(arms []arm) (names []string) {
	for _, a := range arms {
		names = slices.AppendSeq(names, maps.Keys(a.vars))
	}
	for _, l := range s.lines {
		if l.name.raw() != "set" {
			continue
		}
		for _, w := range l.args {
			name, _, _ := strings.Cut(w.raw(), "=")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// checkSet refuses variables that the scenario does not know.
func (s *Scenario) checkSet(arms []arm, set map[string]string) (wrong Problems) {
	known := s.variables(arms)
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if slices.Contains(known, name) {
			continue
		}
		text := fmt.Sprintf("--set %s: the scenario has no variables", name)
		if len(known) > 0 {
			text = fmt.Sprintf("--set %s: the scenario has no such variable: %s", name, meant(name, known))
		}
		wrong = append(wrong, &Problem{File: s.Path, Line: 1, Col: 1, Text: text})
	}
	return wrong
}

// guardTexts are the conditions that can stand in brackets, besides arm.
func guardTexts() map[string]string {
	return map[string]string{
		"docker": "the peers are containers",
		"sim":    "the peers are in one process, in virtual time",
		"netem":  "links can be delayed here",
	}
}

// available says which conditions in brackets hold with an engine. It asks what
// links are possible only if the scenario wants to know.
func (s *Scenario) available(ctx context.Context, f testbed.Factory) (map[string]bool, error) {
	if f == nil {
		return nil, nil
	}
	guards := map[string]bool{"docker": f.Name() == "docker", "sim": f.Name() == "sim"}
	asks := slices.ContainsFunc(s.lines, func(l line) bool {
		return slices.ContainsFunc(l.guards, func(g guard) bool { return g.tag == "netem" })
	})
	if asks {
		delay := testbed.Links{{From: "alice", To: "bob"}: {Shape: testbed.Shape{Delay: time.Second}}}
		err := f.Check(ctx, delay)
		if err != nil && !errors.Is(err, testbed.ErrUnable) {
			return nil, fmt.Errorf("whether links can be delayed here: %w", err)
		}
		guards["netem"] = err == nil
	}
	return guards, nil
}

// compile makes the steps of the scenario, or says what is wrong with it. It
// walks through the lines once, as a run will.
func (p *Plan) compile(ctx context.Context, f testbed.Factory) (wrong Problems) {
	sc := newScene(f, p.arm, p.given)
	sc.beside = p.Scenario.beside
	sc.asksTests = slices.ContainsFunc(p.Scenario.lines, func(l line) bool {
		return strings.Contains(l.text, "testsummary") || strings.Contains(l.text, "testlocalfilters")
	})
	if p.secrets == nil {
		p.secrets = secrets{}
	}
	sc.secrets = p.secrets
	if f != nil {
		sc.possible = func(links testbed.Links) error { return f.Check(ctx, links) }
	}
	p.steps = make([]step, 0, len(p.Scenario.lines))
	for _, l := range p.Scenario.lines {
		add := func(problem *Problem) {
			problem.File, problem.Line = p.Scenario.Path, l.number
			if problem.Col == 0 {
				problem.Col = l.name.col
			}
			wrong = append(wrong, problem)
		}
		active := true
		for _, g := range l.guards {
			holds, problem := p.holds(g)
			if problem != nil {
				add(problem)
			}
			active = active && holds == g.want
		}
		here := sc
		if !active {
			here = sc.clone()
			here.possible, here.inactive = nil, true
		}
		if l.broken { // Parse has said what is wrong
			here.mistakes.note(here, l)
			continue
		}
		s, err := here.compile(l)
		if p.guards == nil { // where there is an engine, these peers may run
			maps.DeleteFunc(sc.stopped, func(name string, _ bool) bool { return !here.stopped[name] })
		}
		s.active = active
		p.steps = append(p.steps, s)
		if err == nil {
			continue
		}
		follows := errors.Is(err, errFollows) || here.mistakes.concern(l)
		here.mistakes.note(here, l)
		var problem *Problem
		var several Problems
		switch {
		case follows:
			continue
		case errors.As(err, &several):
			for _, problem := range several {
				add(problem)
			}
			continue
		case !errors.As(err, &problem):
			problem = &Problem{Text: err.Error(), Unable: errors.Is(err, testbed.ErrUnable)}
			if len(l.args) > 0 {
				problem.Col = l.args[0].col
			}
		}
		add(problem)
	}
	if !sc.defined && len(wrong) == 0 && !sc.mistakes.cluster {
		wrong = append(wrong, &Problem{File: p.Scenario.Path, Line: 1, Col: 1, Text: "there is no cluster: a scenario has a line such as cluster 5"})
	}
	p.Spec, p.ends, p.Least, p.files = sc.spec, sc.ends, sc.least, sc.files
	p.Uses = slices.Sorted(maps.Keys(sc.uses))
	if len(wrong) == 0 {
		p.model, _ = sc.model() // it was fine at the cluster line
	}
	return wrong
}

// compile makes the step of one line.
func (sc *scene) compile(l line) (step, error) {
	s := step{line: l}
	words, err := sc.expand(l.args)
	if err != nil {
		return s, err
	}
	v, isVerb := sc.verbs[l.name.raw()]
	s.words, s.judges, s.answers = words, v.judges, v.answers || !isVerb
	s.do, err = sc.parse(l.command, words)
	return s, err
}

// holds says whether a condition in brackets does. Without an engine none
// does, for then the line would be about one engine alone.
func (p *Plan) holds(g guard) (bool, *Problem) {
	if name, is := strings.CutPrefix(g.tag, "arm:"); is {
		if indexOfArm(p.arms, name) < 0 && !p.Scenario.names("arm", name) {
			return false, &Problem{Col: g.col, Text: noArm(p.arms, name)}
		}
		return name == p.Arm, nil
	}
	if guardTexts()[g.tag] == "" {
		return false, &Problem{Col: g.col, Text: fmt.Sprintf("[%s] is no condition: %s", g.tag, meant(g.tag, append(slices.Sorted(maps.Keys(guardTexts())), "arm:NAME")))}
	}
	return p.guards[g.tag], nil
}

// parse reads one line: a verb, or a peer and what it is told.
func (sc *scene) parse(c *command, text []string) (action, error) {
	name := c.name.raw()
	a := args{words: c.args, text: text, mayFail: c.prefix != ""}
	v, isVerb := sc.verbs[name]
	switch {
	case isVerb && c.background && !v.inBackground:
		return nil, at(c.name, fmt.Errorf("%s does not run in the background: repeat does, and a peer's line", name))
	case isVerb && len(a.text) == 0 && v.needs():
		return nil, at(c.name, fmt.Errorf("%s %s: the arguments are missing", name, v.args))
	case isVerb && !sc.defined && !v.early:
		if sc.mistakes.cluster {
			return nil, errFollows
		}
		sc.mistakes.cluster = true // one line that says so is enough
		return nil, at(c.name, errors.New("there is no cluster yet: begin with a line such as cluster 5"))
	case isVerb:
		sc.uses[name] = true
		return v.parse(sc, a)
	case sc.defined && name == testbed.Rest:
		return nil, at(c.name, errors.New("rest of what? A line for peers begins with their names, such as alice,bob, or all"))
	case sc.defined && sc.isPeers(name):
		return sc.parseLine(name, a)
	case !sc.defined && sc.mistakes.cluster:
		return nil, errFollows
	case !sc.defined:
		return nil, at(c.name, fmt.Errorf("there is no verb %q: %s", name, meant(name, verbNames())))
	}
	if verb, is := otherWords[name]; is {
		return nil, at(c.name, fmt.Errorf("there is no verb and no peer %q: did you mean %s?", name, verb))
	}
	if near := suggest.Similar(name, append(verbNames(), sc.spec.Peers...)); len(near) > 0 {
		return nil, at(c.name, fmt.Errorf("there is no verb and no peer %q: did you mean %s?", name, strings.Join(near, ", ")))
	}
	return nil, at(c.name, fmt.Errorf("there is no verb and no peer %q: a line begins with one of %s, or the name of a peer", name, strings.Join(verbNames(), ", ")))
}

// otherWords are what people type for verbs, by the habit of other languages.
var otherWords = map[string]string{
	"sleep": "wait", "expect": "await", "eventually": "await", "assert": "check", "restart": "stop, then start",
	"unpause": "resume", "slow": "throttle", "split": "partition", "disconnect": "cut", "connect": "heal", "echo": "mark", "print": "mark",
}

// needs says whether the verb cannot be without arguments.
func (v verb) needs() bool { return v.args != "" && !strings.HasPrefix(v.args, "[") }
