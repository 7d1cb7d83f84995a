//go:build linux

package shell

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// vt is as much of a terminal as readline uses: what it has been sent, as a
// person would see it.
type vt struct {
	width, height int
	rows          [][]rune
	row, col      int
	rest          []byte // the begin of a character or sequence
}

func newVT(width, height int) *vt {
	v := &vt{width: width, height: height}
	for range height {
		v.rows = append(v.rows, nil)
	}
	return v
}

// String returns the screen without what is blank at its end, the cursor shown as ▏.
func (v *vt) String() string {
	var lines []string
	for i, row := range v.rows {
		line := append([]rune(nil), row...)
		if i == v.row {
			for len(line) < v.col {
				line = append(line, ' ')
			}
			line = append(line[:v.col], append([]rune{'▏'}, line[v.col:]...)...)
		}
		lines = append(lines, strings.TrimRight(string(line), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

func (v *vt) feed(b []byte) {
	v.rest = append(v.rest, b...)
	for len(v.rest) > 0 {
		n := v.next(v.rest)
		if n == 0 {
			return
		}
		v.rest = v.rest[n:]
	}
}

// next takes one character or sequence and returns its length, 0 if it is not
// there as a whole.
func (v *vt) next(b []byte) int {
	switch c := b[0]; {
	case c == 0x1b:
		return v.escape(b)
	case c == '\r':
		v.col = 0
	case c == '\n':
		v.down()
	case c == '\b':
		v.col = max(0, min(v.col, v.width-1)-1)
	case c == '\a':
	case c < 0x20 || c == 0x7f:
		panic(fmt.Sprintf("control character %q on the terminal", c))
	default:
		if !utf8.FullRune(b) {
			return 0
		}
		r, n := utf8.DecodeRune(b)
		v.put(r)
		return n
	}
	return 1
}

func (v *vt) down() {
	if v.row++; v.row == v.height {
		v.rows = append(v.rows[1:], nil)
		v.row--
	}
}

// put wraps late, as terminals do: the column after the last is one until the
// next character.
func (v *vt) put(r rune) {
	if v.col == v.width {
		v.col = 0
		v.down()
	}
	line := v.rows[v.row]
	for len(line) <= v.col {
		line = append(line, ' ')
	}
	line[v.col] = r
	v.rows[v.row] = line
	v.col++
}

func (v *vt) escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	if b[1] != '[' {
		panic(fmt.Sprintf("unknown escape sequence %.10q", b))
	}
	i := 2
	for i < len(b) && b[i] >= 0x20 && b[i] <= 0x3f {
		i++
	}
	if i == len(b) {
		return 0
	}
	arg := 0
	_, _ = fmt.Sscanf(string(b[2:i]), "%d", &arg)
	switch line := v.rows[v.row]; b[i] {
	case 'A':
		v.row = max(0, v.row-max(1, arg))
	case 'C':
		v.col = min(v.width-1, v.col+max(1, arg))
	case 'H':
		v.row, v.col = 0, 0
	case 'J':
		v.rows[v.row] = line[:min(v.col, len(line))]
		first := v.row + 1
		if arg == 2 {
			first = 0
		}
		for n := first; n < v.height; n++ {
			v.rows[n] = nil
		}
	case 'K':
		if arg == 2 {
			v.rows[v.row] = nil
		} else {
			v.rows[v.row] = line[:min(v.col, len(line))]
		}
	case 'm', 'h', 'l':
	default:
		panic(fmt.Sprintf("unknown escape sequence %q", b[:i+1]))
	}
	return i + 1
}
