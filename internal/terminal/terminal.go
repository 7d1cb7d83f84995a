// Package terminal makes text from other peers safe to show on a terminal.
//
// A peer's name, a chat message or an error text may hold escape sequences
// that clear the screen, retitle the window or fake another peer's lines.
// Everything that reaches a terminal passes through here: a program's output as
// a whole through [Guard], and what must stay on its line through [Line] before.
package terminal

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// safe says whether r may reach a terminal: no control characters (C0, DEL,
// C1) and no bidirectional overrides, which reorder what is around them.
func safe(r rune) bool {
	switch {
	case r == '\u061c', r >= '\u200e' && r <= '\u200f',
		r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
		return false
	case r == '\u2028', r == '\u2029':
		return false
	}
	return !unicode.IsControl(r)
}

// Clean returns s with everything a terminal would act on replaced by U+FFFD.
// Newlines and tabs stay; what must fit on one line goes through Line.
func Clean(s string) string {
	return replace(s, func(r rune) bool { return r == '\n' || r == '\t' || safe(r) })
}

// Line is Clean for text that has to stay on one line: newlines and tabs go too.
func Line(s string) string { return replace(s, safe) }

// FirstLine returns the first line of a text.
func FirstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// Shorten cuts a line that has more than so many characters: its last one is an
// ellipsis then.
func Shorten(line string, most int) string {
	if utf8.RuneCountInString(line) <= most {
		return line
	}
	return string([]rune(line)[:max(0, most-1)]) + "…"
}

// Join puts the lines of a text that are not empty on one line, with semicolons
// between them.
func Join(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return Line(strings.Join(lines, "; "))
}

func replace(s string, ok func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if ok(r) {
			return r
		}
		return utf8.RuneError
	}, s)
}

// EscapeJSON returns the JSON text b with every rune inside it that Clean
// would replace written as \uXXXX, which means the same to a JSON parser.
// encoding/json leaves DEL, C1 and bidirectional controls as they are.
func EscapeJSON(b []byte) []byte {
	const hex = "0123456789abcdef"
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == '\n' || r == '\t' || r == '\r' || safe(r) {
			out = append(out, b[:n]...)
		} else {
			out = append(out, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		}
		b = b[n:]
	}
	return out
}
