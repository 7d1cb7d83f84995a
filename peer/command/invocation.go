package command

import (
	"flag"
	"fmt"
	"regexp"
	"strings"

	"peerlab/internal/suggest"
)

// invocation is what a line, or its words, say: a command and what it is given.
type invocation struct {
	command *Command // nil if the words name none
	words   []string // all of them, of which the text, if there is one, is the last
	name    int      // how many of the words are the command's name
	args    int      // where the arguments of a command with a text begin
}

// source is where words come from: a line, or words cut by somebody else.
type source interface {
	next() (word string, ok bool, err error)
	text() (text string, ok bool) // all that is left
	beginsWithDash() bool         // whether what is left begins with a -
	position() int
	seek(position int)
}

// wordList is a source of words that are cut already.
type wordList struct {
	words []string
	at    int
}

func (l *wordList) next() (string, bool, error) {
	if l.at == len(l.words) {
		return "", false, nil
	}
	l.at++
	return l.words[l.at-1], true, nil
}

func (l *wordList) text() (string, bool) {
	rest := l.words[l.at:]
	l.at = len(l.words)
	return strings.Join(rest, " "), len(rest) > 0
}

func (l *wordList) beginsWithDash() bool {
	return l.at < len(l.words) && strings.HasPrefix(l.words[l.at], "-")
}

func (l *wordList) position() int { return l.at }
func (l *wordList) seek(to int)   { l.at = to }

// parse reads an invocation. With an error it is what was read before.
func (r *Registry) parse(src source) (invocation, error) {
	var first []string // as many as a name can have
	ends := []int{src.position()}
	for range r.longestName() {
		word, ok, err := src.next()
		if !ok || err != nil { // which is no error yet: it may be in a text
			break
		}
		first, ends = append(first, word), append(ends, src.position())
	}
	c, n := r.find(first)
	inv := invocation{command: c, words: first[:n:n], name: n}
	src.seek(ends[n])
	if c != nil && c.Text {
		return inv, inv.parseText(src)
	}
	for {
		word, ok, err := src.next()
		if !ok || err != nil {
			return inv, err
		}
		inv.words = append(inv.words, word)
	}
}

// parseText reads what follows the name of a command with a text: flags, the
// arguments before the text, and the text.
func (inv *invocation) parseText(src source) error {
	err := inv.parseFlags(src)
	inv.args = len(inv.words)
	if err != nil {
		return err
	}
	for range inv.command.TextAfter {
		word, ok, err := src.next()
		if !ok || err != nil {
			return err
		}
		inv.words = append(inv.words, word)
	}
	if text, ok := src.text(); ok {
		inv.words = append(inv.words, text)
	}
	return nil
}

// parseFlags reads the flags before a text. What begins with a - and is no flag
// begins the text, unless it looks like a flag that is mistyped.
func (inv *invocation) parseFlags(src source) error {
	fs, _, _ := inv.command.flagSet()
	for src.beginsWithDash() {
		start := src.position()
		word, _, err := src.next()
		name, _, hasValue := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-"), "=")
		f := fs.Lookup(name)
		switch {
		case err == nil && word == "--":
			inv.words = append(inv.words, word)
			return nil
		case err == nil && (f != nil || name == "h" || name == "help"):
			inv.words = append(inv.words, word)
		case err == nil && flagName.MatchString(name) && len(similarFlags(fs, name)) > 0:
			src.seek(start)
			if rest, ok := src.text(); ok {
				inv.words = append(inv.words, rest)
			}
			return fmt.Errorf("%s: unknown flag -%s: did you mean %s? Write -- before a text that begins with it",
				inv.command.Name, name, strings.Join(similarFlags(fs, name), ", "))
		default:
			src.seek(start)
			return nil
		}
		if f == nil || hasValue || isBool(f) {
			continue
		}
		value, ok, err := src.next()
		if err != nil {
			return err
		}
		if ok {
			inv.words = append(inv.words, value)
		}
	}
	return nil
}

// flagName matches what may be meant as a flag.
var flagName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)

// isBool reports whether a flag can stand without a value.
func isBool(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// similarFlags returns the flags that name resembles, each with its dash.
func similarFlags(fs *flag.FlagSet, name string) []string {
	var names []string
	fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	similar := suggest.Similar(name, names)
	for i := range similar {
		similar[i] = "-" + similar[i]
	}
	return similar
}

// line returns the invocation as it can be typed, without its secrets.
func (inv *invocation) line(r *Registry) string {
	if inv.command == nil || !inv.command.Text {
		return Join(r.RedactWords(inv.words))
	}
	n := min(inv.args+inv.command.TextAfter, len(inv.words))
	return strings.Join(append([]string{Join(inv.words[:n])}, inv.words[n:]...), " ")
}

// Substitute returns line with the variables replaced that lookup has, where
// RunLine would replace variables of its own. A value stays part of the word or
// the text in which it stands. Everything else is returned as it is written. The
// error says that the line cannot be cut into words, such as for an open quote.
func (r *Registry) Substitute(line string, lookup func(name string) (value string, ok bool)) (string, error) {
	if err := checkLine(line); err != nil {
		return line, err
	}
	l := newLexer(line, lookup)
	l.keepUnset = true
	_, err := r.parse(l)
	var b strings.Builder
	end := 0
	for _, ref := range l.references {
		b.WriteString(line[end:ref.start])
		b.WriteString(escape(ref.value, ref.context))
		end = ref.end
	}
	b.WriteString(line[end:])
	return b.String(), err
}

// CheckLine reports why a line cannot be cut into a command and what it is given,
// whatever its variables are.
func (r *Registry) CheckLine(line string) error {
	_, err := r.Substitute(line, func(string) (string, bool) { return "", false })
	return err
}

// Text returns the text that is written so at the end of a line, by the rules of
// [Command.Text]. Variables that lookup does not have stay.
func Text(written string, lookup func(name string) (value string, ok bool)) string {
	text, _ := (&lexer{line: written, lookup: lookup}).text()
	return text
}

// escape writes a value so that it is read as it is where it stands.
func escape(value string, context rune) string {
	special := blanks + `'"\$`
	switch {
	case context == inText:
		return value
	case context == '"':
		special = `"\$`
	case value == "":
		return `''`
	}
	var b strings.Builder
	for _, r := range value {
		if strings.ContainsRune(special, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
