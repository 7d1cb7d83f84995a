package command

import (
	"flag"
	"slices"
	"strings"
)

// Complete returns what the last, possibly empty, word of line could become,
// sorted, and that word as typed so far. Aliases and old names are offered where
// no name begins like that.
func (r *Registry) Complete(line string) (candidates []string, word string) {
	line = strings.TrimLeft(line, " \t/")
	if i := strings.LastIndexAny(line, " \t"); i >= 0 {
		line, word = line[:i], line[i+1:]
	} else {
		line, word = "", line
	}
	words := strings.Fields(line)

	if strings.HasPrefix(word, "$") && len(words) > 0 {
		for name := range r.Vars() {
			if strings.HasPrefix(name, word[1:]) {
				candidates = append(candidates, "$"+name)
			}
		}
		slices.Sort(candidates)
		return candidates, word
	}
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
	all = append(all, following(r.names(), words)...)
	candidates = beginningWith(all, word)
	if len(candidates) == 0 && len(words) == 0 {
		candidates = beginningWith(following(r.otherNames(), words), word)
	}
	return candidates, word
}

// following returns how names of more words go on after words: "chat" leads to
// join, leave, …
func following(names, words []string) (next []string) {
	prefix := ""
	if len(words) > 0 {
		prefix = strings.Join(words, " ") + " "
	}
	for _, name := range names {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			first, _, _ := strings.Cut(rest, " ")
			next = append(next, first)
		}
	}
	return next
}

// beginningWith returns those of all that begin with word, sorted.
func beginningWith(all []string, word string) (some []string) {
	for _, s := range all {
		if s != "" && strings.HasPrefix(s, word) {
			some = append(some, s)
		}
	}
	slices.Sort(some)
	return slices.Compact(some)
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
