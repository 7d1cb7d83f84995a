package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"peerlab/internal/suggest"
	"peerlab/observe"
)

// states are the words for what a peer holds another to be.
var states = map[string][]observe.State{
	"alive":   {observe.Alive},
	"suspect": {observe.Suspect},
	"dead":    {observe.Dead},
	"left":    {observe.Left},
	"unknown": {observe.Unknown},
	"gone":    {observe.Dead, observe.Left, observe.Unknown},
	"member":  {observe.Alive, observe.Suspect},
}

// views are the conditions on what peers hold each other, and themselves, to be.
func views() []kind {
	return []kind{
		{
			form: "PEER… see N alive|members", short: "each of them holds exactly so many to be alive, itself included",
			detail: "members counts the suspects, too: it is what memberlist's Members() returns.", example: "all see 5 alive",
			parse: parseCount,
		},
		{
			form: "PEER… see exactly PEER…", short: "the members that each of them sees, alive or suspect, are these and no others",
			detail: "Each sees itself, whether it is named or not.", example: "alice,bob see exactly alice,bob,charly",
			parse: parseExactly,
		},
		{
			form: "PEER… see PEER… alive|suspect|dead|left|unknown|gone|member", short: "each of them holds each of those to be in this state",
			detail: "gone is dead, left or unknown; member is alive or suspect; rest, as one of the lists, are those not in the other.", example: "alice,bob see rest dead",
			parse: parseSees,
		},
		{
			form: "health PEER…>=N", short: "memberlist's health score of each of them; also <=, =, < and >", example: "health alice>=3",
			detail: "0 is best.",
			parse:  parseHealth,
		},
	}
}

func parseCount(sc *scene, a args) (func() predicate, bool, error) {
	who, what, ok := cutAt(a.text, "see", "sees")
	if !ok || len(what) != 2 || what[1] != "alive" && what[1] != "members" {
		return nil, false, nil
	}
	n, err := strconv.Atoi(what[0])
	if err != nil {
		return nil, false, nil
	}
	s, err := parseSubject(sc, who)
	if err != nil {
		return nil, true, err
	}
	if most := len(sc.known()); n < 1 || n > most {
		return nil, true, at(a.words[len(a.words)-2], fmt.Errorf("nobody can see %d: the cluster has %d, and a peer sees itself", n, most))
	}
	return func() predicate {
		return &each{subject: s, test: countTest{n: n, suspects: what[1] == "members"}}
	}, true, nil
}

// rowTest is a test of what is known of a peer, or of how many it holds to be
// what: of each event the view keeps count.
type rowTest struct{}

func (rowTest) begin(*world, []string)   {}
func (rowTest) take(*world, update) bool { return false }

// countTest is the test whether a peer sees so many.
type countTest struct {
	rowTest
	n        int
	suspects bool // they count, too
}

func (t countTest) sees(w *world, peer string) int {
	n := w.view.Count(peer, observe.Alive)
	if t.suspects {
		n += w.view.Count(peer, observe.Suspect)
	}
	return n
}

func (t countTest) passes(w *world, peer string) bool { return t.sees(w, peer) == t.n }
func (t countTest) why(w *world, peer string) string {
	text := fmt.Sprintf("%s sees %d", peer, t.sees(w, peer))
	if unheard := w.view.Unheard(peer); len(unheard) > 0 && t.sees(w, peer) < t.n {
		text += " and has not heard of " + some(unheard, ", ")
	}
	return text
}

func parseExactly(sc *scene, a args) (func() predicate, bool, error) {
	who, what, ok := cutAt(a.text, "see", "sees")
	if !ok || len(what) < 2 || what[0] != "exactly" {
		return nil, false, nil
	}
	s, want, err := parseSubjectAndMembers(sc, who, what[1:])
	if err != nil {
		return nil, true, err
	}
	wanted := setOf(want)
	return func() predicate {
		return &each{subject: s, test: &cellTest{
			members: want,
			wrong: func(observer, member string, state observe.State) bool {
				return slices.Contains(states["member"], state) != wanted[member] && (wanted[member] || member != observer)
			},
			tell: func(member string, _ observe.State) string {
				if wanted[member] {
					return "not " + member
				}
				return "also " + member
			},
		}}
	}, true, nil
}

// cellTest is the test whether a peer holds no member to be what it must not. It
// counts, for each observer, the members of whom it does, and an event changes
// the count by the one member that it is about.
type cellTest struct {
	members []string // those whom an observer may be wrong about without having heard of them
	wrong   func(observer, member string, state observe.State) bool
	// tell says what is wrong about a member.
	tell  func(member string, state observe.State) string
	count map[string]int
}

func (t *cellTest) begin(w *world, peers []string) {
	t.count = make(map[string]int, len(peers))
	for _, peer := range peers {
		t.count[peer] = len(t.find(w, peer))
	}
}

func (t *cellTest) take(w *world, u update) bool {
	c := u.change
	before, observes := t.count[c.Peer]
	switch {
	case !observes:
	case c.Forgot:
		t.count[c.Peer] = len(t.find(w, c.Peer))
	case c.Member != "" && c.Was != c.Is:
		t.count[c.Peer] = before + asInt(t.wrong(c.Peer, c.Member, c.Is)) - asInt(t.wrong(c.Peer, c.Member, c.Was))
	}
	return false
}

// find returns the members that a peer is wrong about: first those it should
// not know, then the others.
func (t *cellTest) find(w *world, peer string) (wrong []string) {
	looked := setOf(t.members)
	for _, member := range w.view.Members(peer) {
		if !looked[member] && t.wrong(peer, member, w.view.State(peer, member)) {
			wrong = append(wrong, member)
		}
	}
	for _, member := range t.members {
		if t.wrong(peer, member, w.view.State(peer, member)) {
			wrong = append(wrong, member)
		}
	}
	return wrong
}

func (t *cellTest) passes(_ *world, peer string) bool { return t.count[peer] == 0 }

func (t *cellTest) why(w *world, peer string) string {
	var told []string
	for _, member := range t.find(w, peer) {
		told = append(told, t.tell(member, w.view.State(peer, member)))
	}
	return fmt.Sprintf("%s sees %s", peer, some(told, ", "))
}

func parseSees(sc *scene, a args) (func() predicate, bool, error) {
	who, what, ok := cutAt(a.text, "see", "sees")
	if !ok {
		return nil, false, nil
	}
	if len(what) < 2 {
		return nil, true, errors.New("see whom, as what? want N alive, or peers and a state")
	}
	last := len(what) - 1
	state := what[last]
	if states[state] == nil {
		var known []string
		for name := range states {
			known = append(known, name)
		}
		slices.Sort(known)
		text := "want one of " + strings.Join(known, ", ")
		if near := suggest.Similar(state, known); len(near) > 0 {
			text = "did you mean " + near[0] + "?"
		}
		return nil, true, at(a.words[len(a.words)-1], fmt.Errorf("%q is no state: %s", state, text))
	}
	s, others, err := parseSubjectAndMembers(sc, who, what[:last])
	if err != nil {
		return nil, true, err
	}
	if s.all && !slices.Contains([]string{"alive", "member"}, state) && slices.Equal(others, sc.spec.Peers) {
		return nil, true, fmt.Errorf("nobody who runs holds itself %s: name those who are to be", state)
	}
	named, allowed := setOf(others), states[state]
	return func() predicate {
		return &each{subject: s, test: &cellTest{
			members: others,
			wrong: func(observer, member string, state observe.State) bool {
				// Those that all are do not look at themselves.
				return named[member] && (member != observer || !s.all) && !slices.Contains(allowed, state)
			},
			tell: func(member string, state observe.State) string { return fmt.Sprintf("%s %s", member, state) },
		}}
	}, true, nil
}

func parseHealth(sc *scene, a args) (func() predicate, bool, error) {
	if a.text[0] != "health" {
		return nil, false, nil
	}
	who, want, ok := parseComparison(a.text[1:])
	if !ok {
		return nil, true, errors.New("want peers and a score, such as health alice>=3")
	}
	s, err := parseSubject(sc, []string{who})
	if err != nil {
		return nil, true, err
	}
	return func() predicate {
		return &each{subject: s, test: healthTest{want: want}}
	}, true, nil
}

// healthTest is the test whether a peer's health score is as wanted.
type healthTest struct {
	rowTest
	want comparison
}

func (t healthTest) passes(w *world, peer string) bool { return t.want.holds(w.view.Health(peer)) }
func (t healthTest) why(w *world, peer string) string {
	return fmt.Sprintf("%s: %d", peer, w.view.Health(peer))
}
