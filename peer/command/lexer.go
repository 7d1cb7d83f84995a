package command

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"peerlab/peer/files"
)

// MaxLine is the longest line Split accepts, in bytes.
const MaxLine = 64 << 10

// blanks separate words.
const blanks = " \t\r\n"

// lexer reads a line from left to right: words, as [Split] describes them, and
// then, if the command takes one, the rest as a text. It looks at no more than
// it is asked for, so that an open quote in a text is no error.
type lexer struct {
	line string
	at   int // where the next word begins, or blanks before it
	// lookup returns the value of a variable. Nil: each dollar sign stays.
	lookup func(name string) (value string, ok bool)
	// keepUnset says that a variable without a value stays as it is written. In
	// a text it always does; in a word it is an error otherwise.
	keepUnset bool
	// references are the variables read so far.
	references []reference
}

// reference is a variable in a line.
type reference struct {
	start, end int // in bytes
	value      string
	context    rune // the quote in which it is, inText, or 0
}

// inText is the context of a variable in a text.
const inText = 'T'

// checkLine reports what makes a line none.
func checkLine(line string) error {
	switch {
	case len(line) > MaxLine:
		return fmt.Errorf("line of %d bytes is too long: the limit is %d", len(line), MaxLine)
	case !utf8.ValidString(line):
		return errors.New("line is not valid UTF-8")
	case strings.ContainsRune(line, 0):
		return errors.New("line holds a NUL character")
	}
	return nil
}

// newLexer returns a lexer at the first word of line, past a byte order mark and
// a slash before it; a comment has no words.
func newLexer(line string, lookup func(string) (string, bool)) *lexer {
	l := &lexer{line: strings.TrimRight(line, "\r\n"), lookup: lookup}
	if strings.HasPrefix(line, files.ByteOrderMark) {
		l.at = len(files.ByteOrderMark)
	}
	l.skipBlanks()
	switch {
	case strings.HasPrefix(l.line[l.at:], "#"):
		l.at = len(l.line)
	case strings.HasPrefix(l.line[l.at:], "/"):
		l.at++
		l.skipBlanks()
	}
	return l
}

// skipBlanks goes to the next word.
func (l *lexer) skipBlanks() {
	rest := l.line[l.at:]
	l.at += len(rest) - len(strings.TrimLeft(rest, blanks))
}

// isAtEnd reports whether no word is left.
func (l *lexer) isAtEnd() bool {
	l.skipBlanks()
	return l.at == len(l.line)
}

func (l *lexer) beginsWithDash() bool {
	return !l.isAtEnd() && l.line[l.at] == '-'
}

func (l *lexer) position() int { return l.at }

func (l *lexer) seek(to int) {
	l.at = to
	l.references = slices.DeleteFunc(l.references, func(ref reference) bool { return ref.start >= to })
}

// next returns the next word, and false if there is none.
func (l *lexer) next() (word string, ok bool, err error) {
	if l.isAtEnd() {
		return "", false, nil
	}
	var (
		b      strings.Builder
		quote  rune // the quote we are in, or 0
		escape bool // the character before was a backslash
		start  = l.at
		skip   int // where the line goes on after a variable
	)
	for i, r := range l.line[start:] {
		i += start
		switch {
		case i < skip:
		case escape:
			if quote == '"' && r != '"' && r != '\\' && (r != '$' || l.lookup == nil) {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
			escape = false
		case r == '\\' && quote != '\'':
			escape = true
		case r == '$' && quote != '\'' && l.lookup != nil && variable.MatchString(l.line[i:]):
			m := variable.FindStringSubmatch(l.line[i:])
			name := m[1] + m[2]
			value, ok := l.lookup(name)
			switch {
			case ok:
				l.references = append(l.references, reference{i, i + len(m[0]), value, quote})
			case l.keepUnset:
				value = m[0]
			default:
				return "", false, fmt.Errorf("variable %s is not set: set %s VALUE first, or write \\$ for the character itself", name, name)
			}
			b.WriteString(value)
			skip = i + len(m[0])
		case quote != 0:
			if r == quote {
				quote = 0
			} else {
				b.WriteRune(r)
			}
		case r == '\'' || r == '"':
			quote = r
		case strings.ContainsRune(blanks, r):
			l.at = i
			return b.String(), true, nil
		default:
			b.WriteRune(r)
		}
	}
	l.at = len(l.line)
	switch {
	case quote != 0:
		return "", false, fmt.Errorf("unterminated quote: close the %c, or write \\%c for the character itself", quote, quote)
	case escape:
		return "", false, errors.New(`a backslash at the end of the line escapes nothing: write \\ for the character itself`)
	}
	return b.String(), true, nil
}

// text returns the rest of the line as it is written, but for variables that
// have a value and for quotes around the whole of it. It returns false if
// nothing is left.
func (l *lexer) text() (text string, ok bool) {
	if l.isAtEnd() {
		return "", false
	}
	start := l.at
	l.at = len(l.line)
	text, quote := trimQuotes(l.line[start:])
	if quote != 0 {
		start++
	}
	if l.lookup == nil || quote == '\'' {
		return text, true
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		m := variable.FindStringSubmatch(text[i:])
		if m == nil { // copy to the next dollar sign
			next := strings.IndexByte(text[i+1:], '$')
			if next < 0 {
				next = len(text) - i - 1
			}
			b.WriteString(text[i : i+1+next])
			i += 1 + next
			continue
		}
		value, set := l.lookup(m[1] + m[2])
		if set {
			l.references = append(l.references, reference{start + i, start + i + len(m[0]), value, inText})
		} else {
			value = m[0]
		}
		b.WriteString(value)
		i += len(m[0])
	}
	return b.String(), true
}

// trimQuotes returns a text without the one pair of quotes that encloses all of
// it, and that quote, or the text as it is and 0. Blanks behind the pair go
// with it.
func trimQuotes(text string) (inner string, quote byte) {
	whole := strings.TrimRight(text, blanks)
	if len(whole) < 2 || whole[0] != '\'' && whole[0] != '"' {
		return text, 0
	}
	if strings.IndexByte(whole[1:], whole[0]) != len(whole)-2 { // it ends before
		return text, 0
	}
	return whole[1 : len(whole)-1], whole[0]
}

var variable = regexp.MustCompile(`^\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})`)

// Split cuts a line into its words.
//
// Words are separated by blanks. Single quotes keep everything between them
// as it is; double quotes keep everything but \" and \\; outside quotes a
// backslash takes the next character as it is. Lines run through a Registry
// have their variables, $NAME or ${NAME}, replaced outside single quotes. A # at
// the start of the line makes all of it a comment. A slash before the first word
// is dropped, so that the habit of typing /msg keeps working. An empty or
// comment-only line has no words and is no error.
//
// Split knows no commands: it cuts the text of one that takes a text, too.
func Split(line string) ([]string, error) {
	if err := checkLine(line); err != nil {
		return nil, err
	}
	l := newLexer(line, nil)
	var words []string
	for {
		word, ok, err := l.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return words, nil
		}
		words = append(words, word)
	}
}

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
