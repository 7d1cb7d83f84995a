package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"peerlab/event"
)

// compiledCondition is a condition as the check of a scenario leaves it. A
// predicate keeps what it has counted, and several runs of a plan can be at the
// same line: each gets one of its own.
type compiledCondition struct {
	text      string
	predicate func() predicate
}

// instance returns the condition for one line of one run.
func (c compiledCondition) instance() condition {
	p := c.predicate()
	q, _ := p.(question)
	return condition{text: c.text, predicate: p, question: q}
}

// condition is something that holds in a cluster or does not.
type condition struct {
	text string
	predicate
	// question is the predicate, if it asks the cluster for what no event tells.
	question question
}

// predicate is what a condition says of the world. It keeps what it needs to
// tell at once, after each event, whether it holds: of an event only what that
// changes is looked at.
type predicate interface {
	// begin reads the world as it is.
	begin(w *world)
	// take is told of each event after that, when the world has it.
	take(w *world, u update)
	// holds reports whether it holds in the world as it is.
	holds(w *world) bool
	// why says what is missing, "" for nothing to say. It may take its time.
	why(w *world) string
}

// question is a predicate on what no event tells.
type question interface {
	predicate
	// ask asks the cluster: until it is asked again, the answer is what holds.
	// It is asked every second.
	ask(ctx context.Context, w *world) error
	// hint reports whether the answer may be another after this event, so that
	// it is worth asking before a second has passed.
	hint(e event.Event) bool
}

// kind is a form of condition. Lint, runs and the reference use this table.
type kind struct {
	form    string
	short   string
	detail  string
	example string
	// text, if the form ends with a text, reports whether that begins behind these
	// words, the first of which is the verb.
	text func(words []string) bool
	// parse reads the words, and returns what makes a predicate of them; ok says
	// whether they have this form at all.
	parse func(sc *scene, a args) (p func() predicate, ok bool, err error)
}

// kindTable has all of them, in the order of the reference.
var kindTable = sync.OnceValue(func() []kind {
	return slices.Concat(views(), happenings(), things())
})

// parseCondition reads a condition, or with not before it its opposite.
func parseCondition(sc *scene, a args) (compiledCondition, error) {
	if !sc.defined {
		return compiledCondition{}, errors.New("there is no cluster yet: begin with a line such as cluster 5")
	}
	nots := 0
	for nots < len(a.text)-1 && a.text[nots] == "not" {
		nots++
	}
	if nots > 0 {
		opposite := a.rest(nots)
		opposite.mayFail = true
		c, err := parseCondition(sc, opposite)
		return compiledCondition{strings.Join(a.text, " "), func() predicate {
			p := negate(c.predicate())
			if nots%2 == 0 {
				p = negate(p)
			}
			return p
		}}, err
	}
	text := slices.ContainsFunc(a.text, new(textFinder).next) // in which any word may occur
	for _, k := range kindTable() {
		if text && k.text == nil {
			continue
		}
		if p, ok, err := k.parse(sc, a); ok {
			sc.uses[k.form] = true
			if err != nil {
				return compiledCondition{}, err
			}
			if e, ok := p().(*each); ok {
				err = sc.checkSubject(a, e.subject)
			}
			return compiledCondition{strings.Join(a.text, " "), p}, err
		}
	}
	var forms []string
	for _, k := range kindTable() {
		forms = append(forms, k.form)
	}
	return compiledCondition{}, at(a.words[0], fmt.Errorf("%q is no condition: there are %s", strings.Join(a.text, " "), strings.Join(forms, "; ")))
}

// textFinder finds where the text begins that a condition ends with: it is told
// the words one after the other.
type textFinder struct {
	subject bool     // there is a word of whom it is about
	words   []string // from the verb on
}

// textVerbs are the verbs of the conditions that can end with a text.
var textVerbs = []string{"has", "have", "answer", "answers"}

// next reports whether the text begins behind this word.
func (f *textFinder) next(word string) bool {
	switch {
	case !f.subject:
		f.subject = word != "not"
		return false
	case len(f.words) == 0 && !slices.Contains(textVerbs, word):
		return false
	}
	f.words = append(f.words, word)
	return slices.ContainsFunc(kindTable(), func(k kind) bool { return k.text != nil && k.text(f.words) })
}

// conditionRest is the rest of a verb that takes a condition after some words:
// the text with which it ends, if it does.
func conditionRest(before int) func() restRule {
	return func() restRule {
		var f textFinder
		read := before
		return func(words []word) form {
			for ; read < len(words); read++ {
				if f.next(words[read].raw()) {
					return freeText
				}
			}
			return plain
		}
	}
}

// negate returns the opposite of a predicate. That of a question is one, too.
func negate(p predicate) predicate {
	if q, ok := p.(question); ok {
		return negatedQuestion{q}
	}
	return negation{p}
}

// negation holds when another predicate does not.
type negation struct{ predicate }

func (n negation) holds(w *world) bool { return !n.predicate.holds(w) }
func (n negation) why(*world) string   { return "" }

// negatedQuestion holds when the answer to another question is no.
type negatedQuestion struct{ question }

func (n negatedQuestion) holds(w *world) bool { return !n.question.holds(w) }
func (n negatedQuestion) why(*world) string   { return "" }

// always holds.
type always struct{}

func (always) begin(*world)        {}
func (always) take(*world, update) {}
func (always) holds(*world) bool   { return true }
func (always) why(*world) string   { return "" }

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
	names, err := sc.names(words)
	return subject{names: names}, err
}

// parseSubjectAndMembers reads who sees and whom. rest in one of the lists is who
// is not in the other.
func parseSubjectAndMembers(sc *scene, words, members []string) (s subject, others []string, err error) {
	if slices.Equal(words, []string{all}) {
		s = subject{all: true, names: sc.spec.Peers}
		others, err = sc.names(members, s.names...)
		return s, others, err
	}
	s.names, others, err = sc.bothNames(words, members)
	return s, others, err
}

// checkSubject says why a condition on these peers cannot come true, as far as
// it is known before the run: a peer that does not run sees nothing and has
// nothing.
func (sc *scene) checkSubject(a args, s subject) error {
	if a.mayFail || sc.inactive {
		return nil
	}
	var stopped []string
	for _, name := range s.names {
		if sc.stopped[name] && !sc.claimed(name) {
			stopped = append(stopped, name)
		}
	}
	switch {
	case len(stopped) == 0 || s.all && len(stopped) < len(s.names):
		return nil
	case s.all:
		return at(a.words[0], errors.New("no peer runs at this line: this cannot come true"))
	case len(stopped) == 1:
		return at(a.words[0], fmt.Errorf("%s does not run at this line: this cannot come true", stopped[0]))
	}
	return at(a.words[0], fmt.Errorf("%s do not run at this line: this cannot come true", strings.Join(stopped, ", ")))
}

// means reports whether a peer that is named is meant now. A paused peer can say
// nothing: all leaves it out. One that has just been started counts, though it
// has said nothing yet.
func (s subject) means(w *world, name string) bool {
	return !s.all || w.up[name] && !w.view.Paused(name)
}

// each holds when there is somebody of a subject, and each of them runs and
// passes a test.
type each struct {
	subject
	test  test
	peers map[string]*standing
	meant int // how many are
	fail  int // how many of these do not run, or do not pass
}

// standing is how one peer of a subject stands.
type standing struct{ meant, fails bool }

// test is what is wanted of each peer of a subject.
type test interface {
	// begin reads the world as it is.
	begin(w *world, peers []string)
	// take is told of each event after that. It reports whether its peer may
	// pass now and did not before, or the other way round; of those whose row in
	// the view has changed that is known.
	take(w *world, u update) bool
	passes(w *world, peer string) bool
	// why says what a peer lacks that does not pass.
	why(w *world, peer string) string
}

func (c *each) begin(w *world) {
	c.peers, c.meant, c.fail = make(map[string]*standing, len(c.names)), 0, 0
	c.test.begin(w, c.names)
	for _, name := range c.names {
		c.peers[name] = &standing{}
		c.look(w, name)
	}
}

func (c *each) take(w *world, u update) {
	if c.test.take(w, u) {
		c.look(w, u.event.Peer)
	}
	if u.change.Peer != "" {
		c.look(w, u.change.Peer)
	}
}

// look looks how a peer stands now.
func (c *each) look(w *world, name string) {
	p := c.peers[name]
	if p == nil {
		return
	}
	now := standing{meant: c.means(w, name)}
	now.fails = now.meant && !(w.view.Runs(name) && c.test.passes(w, name))
	c.meant += asInt(now.meant) - asInt(p.meant)
	c.fail += asInt(now.fails) - asInt(p.fails)
	*p = now
}

func asInt(is bool) int {
	if is {
		return 1
	}
	return 0
}

func (c *each) holds(*world) bool { return c.meant > 0 && c.fail == 0 }

func (c *each) why(w *world) string {
	if c.meant == 0 {
		return "no peer runs"
	}
	// First those that do not run: nothing else can be expected of them.
	var stopped, told []string
	for _, name := range c.names {
		switch {
		case !c.peers[name].fails:
		case !w.view.Runs(name):
			stopped = append(stopped, name+" does not run")
		default:
			told = append(told, c.test.why(w, name))
		}
	}
	return some(append(stopped, told...), "; ")
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
