package scenarios

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"peerlab/internal/suggest"
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
	peers   []string        // that lines take for peers, and are none
}

func (m *mistakes) clone() mistakes {
	return mistakes{m.cluster, maps.Clone(m.vars), slices.Clip(m.names), slices.Clip(m.peers)}
}

// declare reports whether a line that is wrong was to declare the variable.
func (m *mistakes) declare(variable string) bool { return m.vars[variable] }

// concern reports whether a line that is wrong is about a peer that a peer line
// has named, though there is none: that has been said there.
func (m *mistakes) concern(l line) bool {
	for _, w := range append([]word{l.name}, l.args...) {
		for name := range strings.SplitSeq(w.raw(), ",") {
			if w.form == plain && slices.Contains(m.peers, name) {
				return true
			}
		}
	}
	return false
}

// note takes a line into account that is wrong.
func (m *mistakes) note(sc *scene, l line) {
	name := l.name.raw()
	if near := suggest.Similar(name, verbNames()); name == "cluster" || len(near) > 0 && near[0] == "cluster" {
		m.cluster = true
	}
	if name == "peer" && len(l.args) > 0 && sc.defined {
		if peer := l.args[0].raw(); testbed.CheckName(peer) == nil && !sc.isPeers(peer) {
			m.peers = append(m.peers, peer)
		}
	}
	words := make([]string, len(l.args))
	for i, w := range l.args {
		words[i] = w.raw()
	}
	if l.broken { // the words behind the mistake are not among them
		words = strings.Fields(l.text)
	}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
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
