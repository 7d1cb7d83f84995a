package scenarios

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"peerlab/testbed"
)

// errFollows is a mistake in a line that only follows from one in a line before:
// it is not reported.
var errFollows = errors.New("this follows from another mistake")

// mistakes are what lines that are wrong were to declare.
type mistakes struct {
	cluster bool            // there is no cluster, or its settings are not known
	vars    map[string]bool // variables
	names   []string        // that members may have
}

func (m *mistakes) clone() mistakes {
	return mistakes{m.cluster, maps.Clone(m.vars), slices.Clip(m.names)}
}

// declare reports whether a line that is wrong was to declare the variable.
func (m *mistakes) declare(variable string) bool { return m.vars[variable] }

// note takes a line into account that is wrong.
func (m *mistakes) note(l line) {
	name := l.name.raw()
	if name == "cluster" {
		m.cluster = true
	}
	for _, w := range l.args {
		key, value, _ := strings.Cut(w.raw(), "=")
		switch name {
		case "arm", "set":
			if m.vars == nil {
				m.vars = map[string]bool{}
			}
			m.vars[key] = true
		case "peer":
			if testbed.CheckName(value) == nil {
				m.names = append(m.names, value)
			}
		}
	}
}

// names reports whether there is a line of this verb whose first word is name.
func (s *Scenario) names(verb, name string) bool {
	return slices.ContainsFunc(s.lines, func(l line) bool {
		return l.name.raw() == verb && len(l.args) > 0 && l.args[0].raw() == name
	})
}
