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
		"Made by `make docs` from the registry; do not edit.\n")
	for _, group := range r.Groups() {
		fmt.Fprintf(&b, "\n## %s\n", group)
		for _, c := range r.Commands() {
			if c.Group == group {
				fmt.Fprintf(&b, "\n### %s\n\n```\n%s```\n", c.Name, c.help())
			}
		}
	}
	return b.String()
}
