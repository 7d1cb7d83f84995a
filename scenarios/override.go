package scenarios

import (
	"errors"
	"strings"
)

// With returns the scenario with settings of its cluster changed: key=value
// words as in a cluster line, each in place of what the line says of that key,
// or added to it. Settings of single peers stay on top. The error is a Problems,
// or that there is no cluster line.
func (s *Scenario) With(settings ...string) (*Scenario, error) {
	if len(settings) == 0 {
		return s, nil
	}
	lines := strings.Split(s.Text, "\n")
	found := false
	for _, l := range s.lines {
		if l.name.raw() != "cluster" {
			continue
		}
		found = true
		lines[l.number-1] = l.with(settings)
	}
	if !found {
		return nil, errors.New(s.Path + ": there is no cluster line whose settings could be changed")
	}
	return Parse(s.Path, strings.Join(lines, "\n"))
}

// with writes a line anew with some of its key=value words changed.
func (l line) with(settings []string) string {
	var words []string
	if l.prefix != "" {
		words = append(words, l.prefix)
	}
	for _, g := range l.guards {
		not := ""
		if !g.want {
			not = "!"
		}
		words = append(words, "["+not+g.tag+"]")
	}
	words = append(words, l.name.source())
	for _, w := range l.args {
		key, _, is := strings.Cut(w.raw(), "=")
		replaced := false
		for _, s := range settings {
			replaced = replaced || is && strings.HasPrefix(s, key+"=")
		}
		if !replaced {
			words = append(words, w.source())
		}
	}
	for _, s := range settings {
		words = append(words, word{parts: []part{{s, true}}}.source())
	}
	return strings.Join(words, " ")
}

// source is the word as a scenario has it.
func (w word) source() string {
	var b strings.Builder
	for _, p := range w.parts {
		if p.quoted {
			b.WriteString("'" + strings.ReplaceAll(p.text, "'", "''") + "'")
		} else {
			b.WriteString(p.text)
		}
	}
	return b.String()
}
