package command

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// MaxLine is the longest line Split accepts, in bytes.
const MaxLine = 64 << 10

// Split cuts a line into its words.
//
// Words are separated by blanks. Single quotes keep everything between them
// as it is; double quotes keep everything but \" and \\; outside quotes a
// backslash takes the next character as it is. Lines run through a Registry
// have their variables, $NAME or ${NAME}, replaced outside single quotes. A # at the start of a word
// begins a comment. A slash before the first word is dropped, so that the
// habit of typing /msg keeps working. An empty or comment-only line has no
// words and is no error.
func Split(line string) ([]string, error) { return split(line, nil) }

// split is Split with variables: outside single quotes, $NAME and ${NAME} are
// replaced by what lookup returns, and never cut into several words. A dollar
// sign that begins no name stays. With a nil lookup every dollar sign stays.
func split(line string, lookup func(name string) (string, bool)) ([]string, error) {
	switch {
	case len(line) > MaxLine:
		return nil, fmt.Errorf("line of %d bytes is too long: the limit is %d", len(line), MaxLine)
	case !utf8.ValidString(line):
		return nil, errors.New("line is not valid UTF-8")
	case strings.ContainsRune(line, 0):
		return nil, errors.New("line holds a NUL character")
	}
	var (
		words  []string
		word   strings.Builder
		inWord bool
		quote  rune // the quote we are in, or 0
		escape bool // the character before was a backslash
		skip   int  // where the line goes on after a variable
	)
	for i, r := range line {
		if i < skip {
			continue
		}
		switch {
		case escape:
			if quote == '"' && r != '"' && r != '\\' && (r != '$' || lookup == nil) {
				word.WriteByte('\\')
			}
			word.WriteRune(r)
			escape = false
		case r == '\\' && quote != '\'':
			escape, inWord = true, true
		case r == '$' && quote != '\'' && lookup != nil && variable.MatchString(line[i:]):
			m := variable.FindStringSubmatch(line[i:])
			name := m[1] + m[2]
			value, ok := lookup(name)
			if !ok {
				return nil, fmt.Errorf("variable %s is not set: set %s VALUE first, or write \\$ for the character itself", name, name)
			}
			word.WriteString(value)
			inWord, skip = true, i+len(m[0])
		case quote != 0:
			if r == quote {
				quote = 0
			} else {
				word.WriteRune(r)
			}
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == ' ' || r == '\t' || r == '\r' || r == '\n':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		case r == '#' && !inWord:
			return words, nil
		case r == '/' && !inWord && len(words) == 0:
			inWord = true
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	switch {
	case quote != 0:
		return nil, fmt.Errorf("unterminated quote: close the %c, or write \\%c for the character itself", quote, quote)
	case escape:
		return nil, errors.New(`a backslash at the end of the line escapes nothing: write \\ for the character itself`)
	}
	if inWord {
		words = append(words, word.String())
	}
	if len(words) == 1 && words[0] == "" && !strings.ContainsAny(line, `'"`) {
		return nil, nil // a lone slash
	}
	return words, nil
}

var variable = regexp.MustCompile(`^\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})`)

// Quote returns word so that Split reads it back as one word.
func Quote(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t\r\n'\"\\#/$") {
		return word
	}
	return `'` + strings.ReplaceAll(word, `'`, `'\''`) + `'`
}

// Join returns the line that Split cuts into words.
func Join(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
	}
	return strings.Join(quoted, " ")
}
