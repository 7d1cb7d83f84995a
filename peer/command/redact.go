package command

import (
	"regexp"
	"slices"
	"strings"

	"peerlab/internal/suggest"
)

// minSecret is the length from which a word of a line that names no command is
// taken for a secret, if the line looks like a mistyped command that has some.
const minSecret = 16

// RedactWords returns words with what stands for each secret argument in its
// place, as [Command.Secret] says. Whatever keeps or repeats a line asks this or
// [Registry.Redact]: history, saved runs, events and errors. A line that names
// no command but looks like one with secrets has its long words replaced.
func (r *Registry) RedactWords(words []string) []string {
	c, n := r.find(words)
	longOnly := false
	if c == nil && len(words) > 0 {
		c, n, longOnly = r.likelySecret(words[0]), 1, true
	}
	if c == nil || c.Secret == nil {
		return words
	}
	redacted := slices.Clone(words)
	for i := n; i < len(words); i++ {
		switch {
		case slices.Contains([]string{"-", "--", "-h", "-help", "--help"}, words[i]):
		case wholeVariable.MatchString(words[i]):
		case longOnly && len(words[i]) < minSecret:
		default:
			redacted[i] = c.Secret(words[i])
		}
	}
	return redacted
}

// wholeVariable matches a word that is nothing but a variable: it is replaced
// later, and says nothing yet.
var wholeVariable = regexp.MustCompile(`^\$(?:[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\})$`)

// Redact is RedactWords for a line as it is typed. A line without a secret is
// returned as it is.
func (r *Registry) Redact(line string) string {
	words, err := Split(line)
	if err != nil { // such as a quote that is not closed: no command gets it
		words = strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "/"))
	}
	redacted := r.RedactWords(words)
	if slices.Equal(words, redacted) {
		return line
	}
	if err != nil {
		return strings.Join(redacted, " ")
	}
	// A variable is to stay one, and Join would quote it.
	quoted := make([]string, len(redacted))
	for i, w := range redacted {
		quoted[i] = w
		if !wholeVariable.MatchString(w) {
			quoted[i] = Quote(w)
		}
	}
	return strings.Join(quoted, " ")
}

// likelySecret returns a command with secrets whose name begins with word or
// with a word near to it, nil if there is none.
func (r *Registry) likelySecret(word string) *Command {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for name, c := range r.byName {
		first, _, _ := strings.Cut(name, " ")
		if c.Secret != nil && (first == word || len(suggest.Similar(word, []string{first})) > 0) {
			return c
		}
	}
	return nil
}
