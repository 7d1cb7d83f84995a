package observe

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// widest is how many columns a line of Table has at most: with what stands
// before it, a terminal of 80 shows it.
const widest = 74

// Table returns the view for people, a line for each peer: what it holds the
// others to be, "." for unknown. In a cluster too large for that, peers of one
// mind share a line that names only those whom they do not hold alive.
func (v *View) Table() string {
	members := slices.Sorted(slices.Values(v.names))
	if len(members) > widest {
		return v.summary(members)
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\t%s\n", strings.Join(members, "\t"))
	for _, observer := range v.peers {
		fmt.Fprint(w, observer)
		for _, member := range members {
			state := v.State(observer, member)
			if state == Unknown {
				state = "."
			}
			fmt.Fprintf(w, "\t%s", state)
		}
		if note := v.note(observer); note != "" {
			fmt.Fprintf(w, "\t(%s)", note)
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush() // a strings.Builder takes everything
	for line := range strings.Lines(b.String()) {
		if utf8.RuneCountInString(line) > widest {
			return v.summary(members)
		}
	}
	return b.String()
}

// note says why a peer's view may be old.
func (v *View) note(peer string) string {
	switch {
	case !v.Runs(peer):
		return "does not run"
	case v.Paused(peer):
		return "paused"
	}
	return ""
}

// named is how many names a line of a summary has of one kind.
const named = 5

func (v *View) summary(members []string) string {
	var lines []string
	alike := make(map[string][]string)
	for _, observer := range v.peers {
		others := make(map[State][]string)
		for _, member := range members {
			s := v.State(observer, member)
			others[s] = append(others[s], member)
		}
		parts := []string{fmt.Sprintf("%d alive", len(others[Alive]))}
		for _, s := range []State{Suspect, Dead, Left, Unknown} {
			if n := len(others[s]); n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s (%s)", n, s, list(others[s])))
			}
		}
		if note := v.note(observer); note != "" {
			parts = append(parts, note)
		}
		line := strings.Join(parts, ", ")
		if alike[line] == nil {
			lines = append(lines, line)
		}
		alike[line] = append(alike[line], observer)
	}
	var b strings.Builder
	for _, line := range lines {
		verb := "see"
		if len(alike[line]) == 1 {
			verb = "sees"
		}
		fmt.Fprintf(&b, "%s %s %s\n", list(alike[line]), verb, line)
	}
	return b.String()
}

// list names the first few.
func list(names []string) string {
	if more := len(names) - named; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:named], ", "), more)
	}
	return strings.Join(names, ", ")
}
