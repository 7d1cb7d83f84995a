package command

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// usage returns the command's name, flags and arguments on one line.
func (c *Command) usage() string {
	parts := []string{c.Name}
	fs, _, _ := c.flagSet()
	fs.VisitAll(func(f *flag.Flag) {
		value, _ := flag.UnquoteUsage(f)
		if value != "" {
			value = " " + strings.ToUpper(value)
		}
		parts = append(parts, fmt.Sprintf("[-%s%s]", f.Name, value))
	})
	if c.Usage != "" {
		parts = append(parts, c.Usage)
	}
	return strings.Join(parts, " ")
}

func (c *Command) help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nusage: %s\n", c.Short, c.usage())
	if c.Long != "" {
		fmt.Fprintf(&b, "\n%s\n", c.Long)
	}
	fs, _, _ := c.flagSet()
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fs.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(w, "  -%s %s\t%s\n", f.Name, value, usage)
	})
	_ = w.Flush()
	if len(c.Aliases) > 0 {
		fmt.Fprintf(&b, "\nalso: %s\n", strings.Join(c.Aliases, ", "))
	}
	if c.Example != "" {
		fmt.Fprintf(&b, "\nexample: %s\n", c.Example)
	}
	return b.String()
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
// help for its name, which comes before a group of the same name.
func (r *Registry) Help(words []string) (string, error) {
	if len(words) == 0 {
		return r.list(r.Groups()) + "\nhelp COMMAND tells more; TAB completes commands, flags and peers.\n", nil
	}
	if words[0] == "groups" {
		if len(words) == 1 {
			return strings.Join(r.Groups(), "\n") + "\n", nil
		}
		if group := strings.Join(words[1:], " "); slices.Contains(r.Groups(), group) {
			return r.list([]string{group}), nil
		}
		return "", fmt.Errorf("no group %q: there are %s", strings.Join(words[1:], " "), strings.Join(r.Groups(), ", "))
	}
	if c, n := r.find(words); c != nil && n == len(words) {
		return c.help(), nil
	}
	if group := strings.Join(words, " "); slices.Contains(r.Groups(), group) {
		return r.list([]string{group}), nil
	}
	return "", r.unknown(words)
}

// list shows the commands of the given groups, one line each.
func (r *Registry) list(groups []string) string {
	commands := r.Commands()
	width := 0
	for _, c := range commands {
		if slices.Contains(groups, c.Group) {
			width = max(width, len(c.synopsis()))
		}
	}
	var b strings.Builder
	for i, group := range groups {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(group + "\n")
		for _, c := range commands {
			if c.Group == group {
				fmt.Fprintf(&b, "  %-*s  %s\n", width, c.synopsis(), c.Short)
			}
		}
	}
	return b.String()
}

func (c *Command) synopsis() string { return strings.TrimSpace(c.Name + " " + c.Usage) }
