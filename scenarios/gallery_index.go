package scenarios

import (
	"fmt"
	"regexp"
	"strings"
)

// ForContainers names the built-in scenarios that are worth containers at every
// change: short ones in which, together, each verb, fault and condition occurs.
func ForContainers() []string {
	return []string{
		"address-change", "bootstrap-outage", "chat-author-crash", "chat-partition", "converge", "crash", "flapping-link",
		"leave", "majority-paused", "partition", "pause", "tour", "tour-of-links", "two-with-one-name",
	}
}

// Header is what a scenario says of itself: the comment that it begins with,
// without its first line.
func (s *Scenario) Header() string {
	var lines []string
	for line := range strings.Lines(s.Text) {
		text, is := strings.CutPrefix(strings.TrimRight(line, "\n"), "#")
		if !is {
			break
		}
		lines = append(lines, strings.TrimSpace(text))
	}
	if len(lines) < 2 {
		return ""
	}
	return strings.Join(lines[1:], " ")
}

// BuiltIn says whether the scenario is one of the gallery.
func (s *Scenario) BuiltIn() bool { return strings.HasPrefix(s.Path, GalleryPrefix) }

// Arms are the names of the scenario's arms, none where it has none.
func (s *Scenario) Arms() []string {
	arms, _ := s.arms()
	var names []string
	for _, a := range arms {
		if a.name != "" {
			names = append(names, a.name)
		}
	}
	return names
}

var (
	link = regexp.MustCompile(`https?://[^\s,()]+[^\s,().:]`)
	seen = regexp.MustCompile(`Seen[^:.]*: (.*)$`)
)

// Seen is what a scenario's header says was seen.
func (s *Scenario) seen() string {
	if m := seen.FindStringSubmatch(s.Header()); m != nil {
		return m[1]
	}
	return ""
}

// engines says where a scenario can be told.
func (s *Scenario) engines() string {
	for _, l := range s.lines {
		if l.name.raw() != "skip" || len(l.guards) != 1 || l.guards[0].want {
			continue
		}
		switch l.guards[0].tag {
		case "sim":
			return "sim"
		case "docker":
			return "docker"
		case "netem":
			return "sim, docker with netem"
		}
	}
	return "sim, docker"
}

// Catalog returns a table of the built-in scenarios as Markdown. docs/gallery.md
// holds it.
func Catalog() (string, error) {
	all, err := Gallery()
	if err != nil {
		return "", err
	}
	onContainers := map[string]bool{}
	for _, name := range ForContainers() {
		onContainers[name] = true
	}
	var b strings.Builder
	fmt.Fprint(&b, "| name | what it shows | thread | arms | engines | what was seen |\n|---|---|---|---|---|---|\n")
	cell := func(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
	for _, s := range all {
		var threads []string
		for i, url := range link.FindAllString(s.Header(), -1) {
			threads = append(threads, fmt.Sprintf("[%d](%s)", i+1, url))
		}
		name := "`" + s.Name + "`"
		if onContainers[s.Name] {
			name += " *"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n",
			name, cell(s.Title), strings.Join(threads, " "), strings.Join(s.Arms(), ", "), s.engines(), cell(s.seen()))
	}
	return b.String(), nil
}
