package scenarios

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"
)

// word is one word of a line with the place where it begins: lint points at it.
// The last may be the rest of the line, as it is written.
type word struct {
	col   int // from 1, in characters
	parts []part
	form  form
}

// form is what a word is.
type form int

const (
	plain    form = iota // a word
	freeText             // the rest of a line, a text by the rules of a peer's msg
	peerLine             // the rest of a line, for a peer's shell
)

// part is a stretch of a word. In what is quoted no variable is replaced.
type part struct {
	text   string
	quoted bool
}

// raw is the word without its quotes, variables as they are written.
func (w word) raw() string {
	var b strings.Builder
	for _, p := range w.parts {
		b.WriteString(p.text)
	}
	return b.String()
}

// bare says whether no part of the word is quoted.
func (w word) bare() bool { return len(w.parts) == 1 && !w.parts[0].quoted }

// expand replaces variables by what value returns for them.
func (w word) expand(value func(name string) string) string {
	var b strings.Builder
	for _, p := range w.parts {
		if p.quoted {
			b.WriteString(p.text)
		} else {
			b.WriteString(os.Expand(p.text, value))
		}
	}
	return b.String()
}

// guard is a condition in brackets before a command: [docker], [!netem].
type guard struct {
	col  int
	tag  string
	want bool
}

// command is one line, parsed.
type command struct {
	prefix     string // "", "!" (must fail) or "?" (may)
	guards     []guard
	name       word
	args       []word
	background bool
}

// within returns the place of a part of the rest of a line.
func (w word) within(part string) word {
	if i := strings.Index(w.raw(), part); i >= 0 {
		w.col += utf8.RuneCountInString(w.raw()[:i])
	}
	return w
}

// parseLine cuts a line into its words, up to where a text or a line for a peer
// begins; nil is a blank one or a comment.
func parseLine(line string) (*command, *Problem) {
	line = strings.TrimRight(line, "\r\n")
	if strings.HasPrefix(strings.TrimLeft(line, blanks), "#") {
		return nil, nil
	}
	c := &command{}
	for r := newLineReader(line); ; {
		first := r.at == 0
		w, problem := r.word()
		switch {
		case problem != nil:
			return nil, problem
		case w.col == 0 && first:
			return nil, nil
		case w.col == 0:
			return nil, &Problem{Col: 1, Text: "there is no command on this line"}
		case !w.bare():
			return nil, at(w, errors.New("a command is not quoted"))
		}
		text := w.raw()
		switch inner, bracket := strings.CutPrefix(text, "["); {
		case text == "!" || text == "?":
			if c.prefix != "" {
				return nil, at(w, errors.New("there are two of ! and ?: one is enough"))
			}
			c.prefix = text
		case bracket && strings.HasSuffix(inner, "]"):
			g := guard{col: w.col, tag: strings.TrimSpace(strings.TrimSuffix(inner, "]")), want: true}
			if tag, not := strings.CutPrefix(g.tag, "!"); not {
				g.tag, g.want = strings.TrimSpace(tag), false
			}
			if g.tag == "" {
				return nil, at(w, errors.New("the brackets are empty: want a condition such as [docker]"))
			}
			c.guards = append(c.guards, g)
		default:
			c.name = w
			return c, c.take(r)
		}
	}
}

// take fills in what follows the name.
func (c *command) take(r *lineReader) *Problem {
	if before, is := strings.CutSuffix(strings.TrimRight(r.line, blanks), "&"); is && len(before) >= r.at && strings.TrimRight(before, blanks) != before {
		r.line, c.background = strings.TrimRight(before, blanks), true
	}
	rest := restRule(func([]word) form { return peerLine })
	if v, isVerb := verbTable()[c.name.raw()]; isVerb && v.rest != nil {
		rest = v.rest()
	} else if isVerb {
		rest = allWords
	}
	for r.at < len(r.line) {
		if form := rest(c.args); form != plain {
			if w := r.rest(form); w.col > 0 {
				c.args = append(c.args, w)
			}
			return nil
		}
		w, problem := r.word()
		if problem != nil || w.col == 0 {
			return problem
		}
		if strings.HasPrefix(w.raw(), "#") && !w.parts[0].quoted {
			return at(w, errors.New("a comment has a line of its own: # begins one only at the start of a line"))
		}
		c.args = append(c.args, w)
	}
	return nil
}

// blanks separate words.
const blanks = " \t\r\n"

// lineReader reads a line word by word.
type lineReader struct {
	line string
	at   int // how far it has been read, in bytes
	col  int // the column there, from 1, in characters
}

func newLineReader(line string) *lineReader { return &lineReader{line: line, col: 1} }

// skip goes on to a byte of the line, and returns its column.
func (r *lineReader) skip(to int) int {
	r.col += utf8.RuneCountInString(r.line[r.at:to])
	r.at = to
	return r.col
}

// skipBlanks goes on to where the next word begins, and reports whether there is
// one.
func (r *lineReader) skipBlanks() bool {
	r.skip(len(r.line) - len(strings.TrimLeft(r.line[r.at:], blanks)))
	return r.at < len(r.line)
}

// rest returns what is left of the line as one word, without a column if that is
// nothing.
func (r *lineReader) rest(form form) word {
	if !r.skipBlanks() {
		return word{}
	}
	w := word{col: r.col, parts: []part{{text: r.line[r.at:]}}, form: form}
	r.skip(len(r.line))
	return w
}

// word returns the next word of the line; it has no column if there is none.
// Single quotes keep what is between them, and two of them in there are one.
func (r *lineReader) word() (w word, _ *Problem) {
	if !r.skipBlanks() {
		return word{}, nil
	}
	w.col = r.col
	line, i := r.line, r.at
	for i < len(line) && strings.IndexByte(blanks, line[i]) < 0 {
		if line[i] != '\'' {
			length := strings.IndexAny(line[i:], blanks+"'")
			if length < 0 {
				length = len(line) - i
			}
			w.parts = append(w.parts, part{line[i : i+length], false})
			i += length
			continue
		}
		opened := i
		var quoted strings.Builder
		for i++; ; i++ { // i is where a stretch between quotes begins
			length := strings.IndexByte(line[i:], '\'')
			if length < 0 {
				return word{}, &Problem{Col: r.skip(opened), Text: "the quote is not closed"}
			}
			quoted.WriteString(line[i : i+length])
			i += length + 1
			if i == len(line) || line[i] != '\'' {
				break
			}
			quoted.WriteByte('\'')
		}
		w.parts = append(w.parts, part{quoted.String(), true})
	}
	r.skip(i)
	return w, nil
}

// Problem is one thing wrong with a scenario, and where.
type Problem struct {
	File      string
	Line, Col int
	Text      string
	// Unable says that nothing is wrong with the scenario: this engine or host
	// cannot do it.
	Unable bool
}

func (p *Problem) Error() string { return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Col, p.Text) }

func at(w word, err error) *Problem { return &Problem{Col: w.col, Text: err.Error()} }

// Problems are all that is wrong with a scenario.
type Problems []*Problem

// Error has a line for each.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unable says whether all is well with the scenario but that it cannot be done
// here.
func (p Problems) Unable() bool {
	for _, one := range p {
		if !one.Unable {
			return false
		}
	}
	return len(p) > 0
}
