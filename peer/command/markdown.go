package command

import (
	"fmt"
	"strings"
)

// Markdown returns the reference of all commands.
func (r *Registry) Markdown() string {
	var b strings.Builder
	b.WriteString("# Commands\n\n" +
		"What can be typed at a peer: in its shell, in script files, after `peer exec --` and through the control API.\n" +
		"Made by `make docs` from the registry; do not edit.\n\n" +
		"A line is a command and its arguments, separated by blanks. Single quotes keep what is between\n" +
		"them as it is; double quotes keep all but `\\\"` and `\\\\`; a backslash elsewhere takes the next\n" +
		"character as it is. `$NAME` is replaced by a variable, but not between single quotes. A line that\n" +
		"begins with `#` is a comment. A flag begins with one dash or with two: `-format json` is\n" +
		"`--format json`.\n\n" +
		"The TEXT of some commands goes to the end of the line as it is written: `echo it's #1, C:\\new  & $5`.\n" +
		"One pair of quotes around all of it is taken off. `$NAME` stays if no such variable is set. A word\n" +
		"that begins with `-` and is no flag begins the text; `--` ends the flags. These commands are\n" +
		strings.Join(r.withText(), ", ") + ".\n")
	for _, group := range r.Groups() {
		fmt.Fprintf(&b, "\n## %s\n", group)
		for _, c := range r.Commands() {
			if c.Group == group {
				fmt.Fprintf(&b, "\n### %s\n\n```\n%s```\n", c.Name, c.help(maxColumns))
			}
		}
	}
	return b.String()
}

// withText returns the commands that take a text, as Markdown.
func (r *Registry) withText() (names []string) {
	for _, c := range r.Commands() {
		if c.Text {
			names = append(names, "`"+c.Name+"`")
		}
	}
	return names
}
