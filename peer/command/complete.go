package command

import (
	"flag"
	"slices"
	"strings"
)

// Complete returns what the last, possibly empty, word of line could become,
// sorted, and that word as typed so far.
func (r *Registry) Complete(line string) (candidates []string, word string) {
	line = strings.TrimLeft(line, " \t/")
	if i := strings.LastIndexAny(line, " \t"); i >= 0 {
		line, word = line[:i], line[i+1:]
	} else {
		line, word = "", line
	}
	words := strings.Fields(line)

	var all []string
	if c, n := r.find(words); c != nil {
		if c.isInText(words[n:]) {
			return nil, word
		}
		if strings.HasPrefix(word, "-") {
			fs, _, _ := c.flagSet()
			fs.VisitAll(func(f *flag.Flag) { all = append(all, "-"+f.Name) })
		} else if values, ok := c.values(words[n:]); ok {
			all = append(all, values...)
		} else if c.Complete != nil {
			all = append(all, c.Complete(words[n:], word)...)
		}
	}
	// Names of more words that go on from here: "chat" leads to join, leave, …
	prefix := ""
	if len(words) > 0 {
		prefix = strings.Join(words, " ") + " "
	}
	for _, name := range r.names() {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			next, _, _ := strings.Cut(rest, " ")
			all = append(all, next)
		}
	}
	for _, s := range all {
		if s != "" && strings.HasPrefix(s, word) {
			candidates = append(candidates, s)
		}
	}
	if len(candidates) == 0 && len(words) == 0 && word != "" {
		candidates = r.aliasesOf(word)
	}
	slices.Sort(candidates)
	return slices.Compact(candidates), word
}

// aliasesOf returns the other names of one word that begin with a prefix, such as
// those of an older shell. They are proposed only where no command's own name fits.
func (r *Registry) aliasesOf(prefix string) (names []string) {
	for _, c := range r.Commands() {
		for _, alias := range c.Aliases {
			if strings.HasPrefix(alias, prefix) && !strings.Contains(alias, " ") {
				names = append(names, alias)
			}
		}
	}
	return names
}

// isInText reports whether what follows args is part of a text, or of an
// argument between the flags and the text that cannot be completed.
func (c *Command) isInText(args []string) bool {
	if !c.Text {
		return false
	}
	inv := invocation{command: c}
	src := &wordList{words: args}
	if inv.parseFlags(src) != nil {
		return false
	}
	flagsEnded := src.at > 0 && args[src.at-1] == "--"
	left := len(args) - src.at
	return left > c.TextAfter || left == c.TextAfter && (left > 0 || flagsEnded)
}

// values returns the candidates for the value of a flag, if that comes next.
func (c *Command) values(args []string) ([]string, bool) {
	if len(args) == 0 || !strings.HasPrefix(args[len(args)-1], "-") {
		return nil, false
	}
	name := strings.TrimLeft(args[len(args)-1], "-")
	if name == "format" && c.Data {
		return []string{"json", "text"}, true
	}
	values, ok := c.Values[name]
	return values, ok
}
