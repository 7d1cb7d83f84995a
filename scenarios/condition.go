package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// condition is something that holds in a cluster or does not. It is made anew
// for each line that runs: it may remember what it has read.
type condition struct {
	text string
	// holds is called with the world after each step, in order.
	holds func(ctx context.Context, w *world) (bool, error)
	// why says what is missing, "" for nothing to say; called after holds.
	why func(w *world) string
	// asks says that holds asks the cluster for what no event tells. It is
	// then asked every second, too.
	asks bool
}

// kind is a form of condition. Lint, runs and the reference use this table.
type kind struct {
	form    string
	short   string
	detail  string
	example string
	// parse reads the words; ok says whether they have this form at all.
	parse func(sc *scene, a args) (c condition, ok bool, err error)
}

// kinds returns all of them, in the order of the reference.
func kinds() []kind {
	return slices.Concat(views(), happenings(), things())
}

// parseCondition reads a condition, or with not before it its opposite.
func parseCondition(sc *scene, a args) (condition, error) {
	if !sc.defined {
		return condition{}, errors.New("there is no cluster yet: begin with a line such as cluster 5")
	}
	if a.text[0] == "not" && len(a.text) > 1 {
		c, err := parseCondition(sc, a.rest(1))
		inner := c.holds
		c.text, c.why = "not "+c.text, nil
		c.holds = func(ctx context.Context, w *world) (bool, error) {
			ok, err := inner(ctx, w)
			return !ok, err
		}
		return c, err
	}
	for _, k := range kinds() {
		if c, ok, err := k.parse(sc, a); ok {
			c.text = strings.Join(a.text, " ")
			sc.uses[k.form] = true
			return c, err
		}
	}
	var forms []string
	for _, k := range kinds() {
		forms = append(forms, k.form)
	}
	return condition{}, at(a.words[0], fmt.Errorf("%q is no condition: there are %s", strings.Join(a.text, " "), strings.Join(forms, "; ")))
}

// plain is a condition that only looks.
func plain(holds func(w *world) bool, why func(w *world) string) condition {
	return condition{
		holds: func(_ context.Context, w *world) (bool, error) { return holds(w), nil },
		why:   why,
	}
}

// subject is whom a condition is about: certain peers, or all that have been
// started and have not ended.
type subject struct {
	all   bool
	names []string
}

// parseSubject reads a list of names in which all means those running.
func parseSubject(sc *scene, words []string) (subject, error) {
	if slices.Equal(words, []string{all}) {
		return subject{all: true, names: sc.spec.Peers}, nil
	}
	names, err := sc.names(words, nil)
	return subject{names: names}, err
}

// who are those meant now. A paused peer can say nothing: all leaves it out. One
// that has just been started counts, though it has said nothing yet.
func (s subject) who(w *world) []string {
	if !s.all {
		return s.names
	}
	var running []string
	for _, name := range s.names {
		if w.up[name] && !w.view.Paused(name) {
			running = append(running, name)
		}
	}
	return running
}

// each says whether there is somebody and f holds for each.
func (s subject) each(w *world, f func(name string) bool) bool {
	who := s.who(w)
	for _, name := range who {
		if !w.view.Runs(name) || !f(name) {
			return false
		}
	}
	return len(who) > 0
}

// first names the first for whom f does not hold, and says why.
func (s subject) first(w *world, f func(name string) bool, why func(name string) string) string {
	who := s.who(w)
	if len(who) == 0 {
		return "no peer runs"
	}
	var told []string
	for _, name := range who {
		switch {
		case !w.view.Runs(name):
			told = append(told, name+" does not run")
		case !f(name):
			told = append(told, why(name))
		}
	}
	return some(told, "; ")
}

// some joins the first few of what is told.
func some(told []string, separator string) string {
	const shown = 4
	if more := len(told) - shown; more > 0 {
		told = append(told[:shown:shown], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(told, separator)
}

// cutAt splits words at the first of the given ones.
func cutAt(words []string, separators ...string) (before, after []string, ok bool) {
	i := slices.IndexFunc(words, func(w string) bool { return slices.Contains(separators, w) })
	if i < 1 {
		return nil, nil, false
	}
	return words[:i], words[i+1:], true
}
