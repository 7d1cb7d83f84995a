package command

import (
	"flag"
	"fmt"
	"slices"
	"strings"

	"peerlab/internal/terminal"
)

const (
	defaultColumns = 80  // of help, where the terminal's width is not known
	maxColumns     = 100 // of help, however wide the terminal
)

// page returns the width of help in a terminal of columns columns.
func page(columns int) int {
	if columns <= 0 {
		columns = defaultColumns
	}
	return min(columns, maxColumns)
}

// usage returns the command's name, flags and arguments on one line.
func (c *Command) usage() string { return strings.Join(c.usageParts(), " ") }

func (c *Command) usageParts() []string {
	parts := []string{c.Name}
	fs, _, _ := c.flagSet()
	fs.VisitAll(func(f *flag.Flag) {
		value, _ := flag.UnquoteUsage(f)
		parts = append(parts, "["+flagSynopsis(f.Name, strings.ToUpper(value))+"]")
	})
	if c.Usage != "" {
		parts = append(parts, c.Usage)
	}
	return parts
}

// flagSynopsis is a flag as help shows it. A value that can be left out begins
// with =, or with [=.
func flagSynopsis(name, value string) string {
	switch {
	case value == "":
		return "-" + name
	case strings.HasPrefix(value, "="):
		return "-" + name + "[" + value + "]"
	}
	return "-" + name + " " + value
}

// help returns the help of a command in lines of at most columns columns.
func (c *Command) help(columns int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", reflow(c.Short, columns))
	const label, noBreak = "usage: ", "\u00a0"
	parts := c.usageParts()
	for i := range parts { // each stays on one line, if it has room there
		parts[i] = strings.ReplaceAll(parts[i], " ", noBreak)
	}
	for i, line := range terminal.Wrap(strings.Join(parts, " "), columns-len(label)) {
		before := label
		if i > 0 {
			before = strings.Repeat(" ", len(label))
		}
		b.WriteString(before + strings.ReplaceAll(line, noBreak, " ") + "\n")
	}
	if c.Long != "" {
		fmt.Fprintf(&b, "\n%s\n", reflow(c.Long, columns))
	}
	fs, _, _ := c.flagSet()
	var flags [][2]string
	fs.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		flags = append(flags, [2]string{flagSynopsis(f.Name, value), usage})
	})
	if len(flags) > 0 {
		b.WriteString("\n" + terminal.Definitions(flags, columns))
	}
	if len(c.Aliases) > 0 {
		fmt.Fprintf(&b, "\n%s\n", reflow("also: "+strings.Join(c.Aliases, ", "), columns))
	}
	if c.Example != "" {
		fmt.Fprintf(&b, "\nexample: %s\n", c.Example)
	}
	return b.String()
}

// reflow sets paragraphs in lines of at most columns columns. Blank lines, and
// lines that begin with a blank, stay as they are.
func reflow(text string, columns int) string {
	var lines []string
	paragraph := ""
	flush := func() {
		if paragraph != "" {
			lines = append(lines, terminal.Wrap(paragraph, columns)...)
		}
		paragraph = ""
	}
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case line == "" || line[0] == ' ':
			flush()
			lines = append(lines, line)
		case paragraph == "":
			paragraph = line
		default:
			paragraph += " " + line
		}
	}
	flush()
	return strings.Join(lines, "\n")
}

// Groups returns the headings in the order of their first command.
func (r *Registry) Groups() []string {
	var groups []string
	for _, c := range r.Commands() {
		if !slices.Contains(groups, c.Group) {
			groups = append(groups, c.Group)
		}
	}
	return groups
}

// Help returns the overview for no words, the groups for "groups", a group's
// commands for a group, with or without "groups" before it, and a command's own
// help for its name, which comes before a group of the same name. It fits into a
// terminal of the given width in columns, if that is not 0.
func (r *Registry) Help(words []string, columns int) (string, error) {
	columns = page(columns)
	if len(words) == 0 {
		return r.list(r.Groups(), columns) + "\n" + reflow(helpEnd, columns) + "\n", nil
	}
	if words[0] == "groups" {
		if len(words) == 1 {
			return strings.Join(r.Groups(), "\n") + "\n", nil
		}
		if group := strings.Join(words[1:], " "); slices.Contains(r.Groups(), group) {
			return r.list([]string{group}, columns), nil
		}
		return "", fmt.Errorf("no group %q: there are %s", strings.Join(words[1:], " "), strings.Join(r.Groups(), ", "))
	}
	if c, n := r.find(words); c != nil && n == len(words) {
		return c.help(columns), nil
	}
	if group := strings.Join(words, " "); slices.Contains(r.Groups(), group) {
		return r.list([]string{group}, columns), nil
	}
	return "", r.unknown(words)
}

// helpEnd is below the overview.
const helpEnd = "help COMMAND tells more; TAB completes commands, flags and peers. " +
	"A flag begins with one dash or with two: -format json is --format json."

// list shows the commands of the given groups.
func (r *Registry) list(groups []string, columns int) string {
	var b strings.Builder
	for i, group := range groups {
		if i > 0 {
			b.WriteByte('\n')
		}
		var items [][2]string
		for _, c := range r.Commands() {
			if c.Group == group {
				items = append(items, [2]string{c.synopsis(), c.Short})
			}
		}
		b.WriteString(group + "\n" + terminal.Definitions(items, columns))
	}
	return b.String()
}

func (c *Command) synopsis() string { return strings.TrimSpace(c.Name + " " + c.Usage) }
