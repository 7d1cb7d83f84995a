package scenarios

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"peerlab/observe/theory"
	peerline "peerlab/peer/command"
)

// variable is one that a cluster line sets.
type variable struct {
	name, what string
	value      func(m theory.Model) time.Duration
}

// computed are the variables that a cluster line sets: bounds from memberlist's
// formulas for its size and settings.
func computed() []variable {
	return []variable{
		{"SUSPICION_MIN", "how long a suspect has to refute when enough others suspect it", func(m theory.Model) time.Duration { return m.SuspicionMin() }},
		{"SUSPICION_MAX", "how long it has when nobody else does", func(m theory.Model) time.Duration { return m.SuspicionMax() }},
		{"DETECT_FIRST", "from a crash to the first who holds the peer dead, at most", func(m theory.Model) time.Duration { return m.FirstDead().Most }},
		{"DETECT_ALL", "from a crash until all do, as long as gossip reaches everyone, at most", func(m theory.Model) time.Duration { return m.AllDead().Most }},
		{"DETECT_MAX", "from a cut until one who is cut off from everyone holds all others dead, at most: the slowest detection there is", func(m theory.Model) time.Duration { return m.IsolatedLast().Most }},
		{"FORGET", "from holding a peer dead to forgetting it, at most", func(m theory.Model) time.Duration { return m.Forgotten(m.Nodes).Most }},
		{"PUSHPULL", "between two full exchanges of state that one peer starts", func(m theory.Model) time.Duration { return m.PushPullPeriod() }},
		{"PROBE", "between two probes of one peer", func(m theory.Model) time.Duration { return m.ProbeInterval }},
	}
}

var variableName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// checkVariable says why a scenario cannot set a variable of that name.
func checkVariable(name string) error {
	if !variableName.MatchString(name) {
		return fmt.Errorf("%q is no name of a variable: want capital letters, digits and _", name)
	}
	for _, c := range computed() {
		if c.name == name {
			return fmt.Errorf("%s is computed from the cluster", name)
		}
	}
	if name == "N" {
		return fmt.Errorf("%s is the number of peers", name)
	}
	return nil
}

// value returns a variable's value, or what is wrong with asking for it.
func (sc *scene) value(name string) (string, error) {
	if v, ok := sc.vars[name]; ok {
		return v, nil
	}
	if sc.mistakes.declare(name) {
		return "", errFollows
	}
	names := slices.Sorted(maps.Keys(sc.vars))
	for _, c := range computed() {
		if c.name == name {
			if sc.mistakes.cluster {
				return "", errFollows
			}
			return "", fmt.Errorf("$%s is known after the cluster line only", name)
		}
		names = append(names, c.name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	hint := meant(name, names)
	if len(name) == 1 { // any other letter would resemble it
		hint = "there are " + strings.Join(names, ", ")
	}
	return "", fmt.Errorf("there is no variable $%s: %s; single quotes keep a $ as it is", name, hint)
}

// expand replaces the variables in words. In a text, and in a line for a peer,
// those that the scenario does not have stay: the peer may have them.
func (sc *scene) expand(words []word) ([]string, error) {
	var wrong error
	text := make([]string, len(words))
	lookup := func(name string) (string, bool) { v, ok := sc.vars[name]; return v, ok }
	for i, w := range words {
		switch w.form {
		case freeText:
			text[i] = peerline.Text(w.raw(), lookup)
			continue
		case peerLine:
			text[i], _ = peerCommands().Substitute(w.raw(), lookup) // parseLine says what is wrong
			continue
		}
		text[i] = w.expand(func(name string) string {
			v, err := sc.value(name)
			if err != nil && wrong == nil {
				wrong = at(w, err)
				if errors.Is(err, errFollows) {
					wrong = err
				}
			}
			return v
		})
	}
	return text, wrong
}

// ParseSet reads VAR=value words, as --set takes them.
func ParseSet(words []string) (map[string]string, error) {
	set := make(map[string]string)
	for _, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if !ok {
			return nil, fmt.Errorf("%q: want VAR=value", w)
		}
		if err := checkVariable(name); err != nil {
			return nil, err
		}
		set[name] = value
	}
	return set, nil
}
