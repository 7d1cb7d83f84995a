package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"peerlab/nearest"
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
			detail: "gone is dead, left or unknown; member is alive or suspect; rest, as the second list, are those not in the first.", example: "alice,bob see rest dead",
			parse: parseSees,
		},
		{
			form: "health PEER…>=N", short: "memberlist's health score of each of them; also <=, =, < and >", example: "health alice>=3",
			detail: "0 is best.",
			parse:  parseHealth,
		},
	}
}

func parseCount(sc *scene, a args) (condition, bool, error) {
	who, what, ok := cutAt(a.text, "see", "sees")
	if !ok || len(what) != 2 || what[1] != "alive" && what[1] != "members" {
		return condition{}, false, nil
	}
	n, err := strconv.Atoi(what[0])
	if err != nil {
		return condition{}, false, nil
	}
	s, err := parseSubject(sc, who)
	if err != nil {
		return condition{}, true, err
	}
	if most := len(sc.known()); n < 1 || n > most {
		return condition{}, true, at(a.words[len(a.words)-2], fmt.Errorf("nobody can see %d: the cluster has %d, and a peer sees itself", n, most))
	}
	sees := func(w *world, name string) int {
		count := w.view.Count(name, observe.Alive)
		if what[1] == "members" {
			count += w.view.Count(name, observe.Suspect)
		}
		return count
	}
	// Most of the time somebody is still behind: the same as before.
	behind := ""
	return plain(func(w *world) bool {
		if behind != "" && s.all && w.view.Runs(behind) && !w.view.Paused(behind) && sees(w, behind) != n {
			return false
		}
		return s.each(w, func(name string) bool {
			behind = name
			return sees(w, name) == n
		})
	}, func(w *world) string {
		return s.first(w, func(name string) bool { return sees(w, name) == n }, func(name string) string {
			return fmt.Sprintf("%s sees %d", name, sees(w, name))
		})
	}), true, nil
}

func parseExactly(sc *scene, a args) (condition, bool, error) {
	who, what, ok := cutAt(a.text, "see", "sees")
	if !ok || len(what) < 2 || what[0] != "exactly" {
		return condition{}, false, nil
	}
	s, err := parseSubject(sc, who)
	if err != nil {
		return condition{}, true, err
	}
	want, err := sc.names(what[1:], s.names)
	if err != nil {
		return condition{}, true, err
	}
	differs := func(w *world, name string) (wrong []string) {
		for _, other := range w.view.Members(name) {
			if held(w, name, other, "member") && other != name && !slices.Contains(want, other) {
				wrong = append(wrong, "also "+other)
			}
		}
		for _, other := range want {
			if !held(w, name, other, "member") {
				wrong = append(wrong, "not "+other)
			}
		}
		return wrong
	}
	return plain(func(w *world) bool {
		return s.each(w, func(name string) bool { return len(differs(w, name)) == 0 })
	}, func(w *world) string {
		return s.first(w, func(name string) bool { return len(differs(w, name)) == 0 }, func(name string) string {
			return fmt.Sprintf("%s sees %s", name, some(differs(w, name), ", "))
		})
	}), true, nil
}

func held(w *world, observer, member, state string) bool {
	return slices.Contains(states[state], w.view.State(observer, member))
}

func parseSees(sc *scene, a args) (condition, bool, error) {
	who, what, ok := cutAt(a.text, "see", "sees")
	if !ok {
		return condition{}, false, nil
	}
	s, err := parseSubject(sc, who)
	if err != nil {
		return condition{}, true, err
	}
	if len(what) < 2 {
		return condition{}, true, errors.New("see whom, as what? want N alive, or peers and a state")
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
		if near := nearest.To(state, known); len(near) > 0 {
			text = "did you mean " + near[0] + "?"
		}
		return condition{}, true, at(a.words[len(a.words)-1], fmt.Errorf("%q is no state: %s", state, text))
	}
	others, err := sc.names(what[:last], s.names)
	if err != nil {
		return condition{}, true, err
	}
	if s.all && !slices.Contains([]string{"alive", "member"}, state) && slices.Equal(others, sc.spec.Peers) {
		return condition{}, true, fmt.Errorf("nobody who runs holds itself %s: name those who are to be", state)
	}
	// Those that are looked at do not look at themselves.
	wrong := func(w *world, name string) (told []string) {
		for _, other := range others {
			if other == name && s.all {
				continue
			}
			if !held(w, name, other, state) {
				told = append(told, fmt.Sprintf("%s %s", other, w.view.State(name, other)))
			}
		}
		return told
	}
	fine := func(w *world) func(name string) bool {
		return func(name string) bool {
			for _, other := range others {
				if (other != name || !s.all) && !held(w, name, other, state) {
					return false
				}
			}
			return true
		}
	}
	return plain(func(w *world) bool { return s.each(w, fine(w)) }, func(w *world) string {
		return s.first(w, fine(w), func(name string) string {
			return fmt.Sprintf("%s sees %s", name, some(wrong(w, name), ", "))
		})
	}), true, nil
}

func parseHealth(sc *scene, a args) (condition, bool, error) {
	if a.text[0] != "health" {
		return condition{}, false, nil
	}
	who, want, ok := parseComparison(a.text[1:])
	if !ok {
		return condition{}, true, errors.New("want peers and a score, such as health alice>=3")
	}
	s, err := parseSubject(sc, []string{who})
	if err != nil {
		return condition{}, true, err
	}
	fine := func(w *world) func(name string) bool {
		return func(name string) bool { return want.holds(w.view.Health(name)) }
	}
	return plain(func(w *world) bool { return s.each(w, fine(w)) }, func(w *world) string {
		return s.first(w, fine(w), func(name string) string { return fmt.Sprintf("%s: %d", name, w.view.Health(name)) })
	}), true, nil
}
