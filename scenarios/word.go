package scenarios

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"
)

// word is one word of a line, cut as rsc.io/script cuts it, with the place
// where it begins: lint points at it.
type word struct {
	col   int // from 1, in characters
	parts []part
}

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

// parseLine cuts a line as rsc.io/script does; nil is a blank one or a comment.
func parseLine(line string) (*command, *Problem) {
	words, problem := split(line)
	if problem != nil || len(words) == 0 {
		return nil, problem
	}
	c := &command{}
	for len(words) > 0 && words[0].bare() {
		w := words[0]
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
			return c.take(words), nil
		}
		words = words[1:]
	}
	if len(words) == 0 {
		return nil, &Problem{Col: 1, Text: "there is no command on this line"}
	}
	return nil, at(words[0], errors.New("a command is not quoted"))
}

// take fills in the command itself.
func (c *command) take(words []word) *command {
	c.name, c.args = words[0], words[1:]
	if n := len(c.args); n > 0 && c.args[n-1].bare() && c.args[n-1].raw() == "&" {
		c.args, c.background = c.args[:n-1], true
	}
	return c
}

// split cuts a line into words at blanks, up to a #. Single quotes keep what is
// between them, and ” is one of them.
func split(line string) (words []word, _ *Problem) {
	var w word
	start, quoted, opened := -1, false, 0
	column := func(i int) int { return utf8.RuneCountInString(line[:i]) + 1 }
	begin := func(i int) {
		if w.col == 0 {
			w.col = column(i)
		}
	}
	for i := 0; ; i++ {
		if !quoted && (i >= len(line) || strings.IndexByte(" \t\r\n#", line[i]) >= 0) {
			if start >= 0 {
				w.parts = append(w.parts, part{line[start:i], false})
				start = -1
			}
			if len(w.parts) > 0 {
				words = append(words, w)
			}
			w = word{}
			if i >= len(line) || line[i] == '#' {
				return words, nil
			}
			continue
		}
		if i >= len(line) {
			return nil, &Problem{Col: column(opened), Text: "the quote is not closed"}
		}
		begin(i)
		switch {
		case line[i] != '\'':
			if start < 0 {
				start = i
			}
		case !quoted:
			if start >= 0 {
				w.parts = append(w.parts, part{line[start:i], false})
			}
			start, quoted, opened = i+1, true, i
		case i+1 < len(line) && line[i+1] == '\'':
			w.parts = append(w.parts, part{line[start:i], true})
			i++ // past the second one, which the text keeps
			start = i
		default:
			w.parts = append(w.parts, part{line[start:i], true})
			start, quoted = -1, false
			// What follows without a blank is part of the same word.
			if i+1 < len(line) && strings.IndexByte(" \t\r\n#'", line[i+1]) < 0 {
				start = i + 1
			}
		}
	}
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
