package keyboard

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"peerlab/internal/terminal"
)

// Keys as readline is given them. What it does not know it would insert into
// the line and so send to the terminal; with some that it knows it ends or
// stops the process: NUL counts as the end of input, Ctrl-Z stops the process
// and its parent, Ctrl-T at the end of a line of one character panics.
const (
	keyInterrupt = "\x03"
	keyEnter     = "\r"

	// Two characters that are none in Unicode, and thus cannot be typed, are
	// messages to the filter in front of readline.
	Wake       = '\ufdd0' // look whether there is something to do
	DeleteNext = '\ufdd1' // the next Ctrl-D is the Delete key: readline takes one for the other
)

// controls are the control characters readline is given.
const controls = "\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x10\x12\x13\x15\x17\x19\x7f"

// sequences are the keys that terminals send as ESC [ …, and how readline
// knows them.
var sequences = map[string]string{
	"A": "\x1b[A", "B": "\x1b[B", "C": "\x1b[C", "D": "\x1b[D", // up, down, right, left
	"H": "\x1b[H", "1~": "\x1b[H", "7~": "\x1b[H", // Home
	"F": "\x1b[F", "4~": "\x1b[F", "8~": "\x1b[F", // End
	"3~":   string(DeleteNext) + "\x1b[3~",
	"1;5C": "\x1bf", "1;5D": "\x1bb", "1;3C": "\x1bf", "1;3D": "\x1bb", // a word forward, back
}

const (
	pasteBegin = "200~"
	pasteEnd   = "201~"
	// maxSequence is the longest escape sequence waited for, in bytes.
	maxSequence = 64
)

// keyParser cuts what a terminal sends into keys, each whole: between two of
// them, and nowhere else, something can be told to readline. In what is pasted
// only line ends are keys; a tab is a blank, for it does not ask for completion.
type keyParser struct {
	rest  []byte // the begin of a key
	paste bool   // inside a bracketed paste
	cr    bool   // the last pasted character was a carriage return
}

// feed returns the keys that b completes.
func (p *keyParser) feed(b []byte) []string {
	p.rest = append(p.rest, b...)
	var keys []string
	for len(p.rest) > 0 {
		key, n := p.next(p.rest)
		if n == 0 {
			break
		}
		p.rest = p.rest[n:]
		if key != "" {
			keys = append(keys, key)
		}
	}
	p.rest = bytes.Clone(p.rest)
	return keys
}

// next returns the first key of b, "" for one that is ignored, and its length
// in bytes, 0 if there is more of it to come.
func (p *keyParser) next(b []byte) (string, int) {
	if b[0] == 0x1b {
		return p.escape(b)
	}
	if !utf8.FullRune(b) {
		return "", 0
	}
	r, n := utf8.DecodeRune(b)
	key := string(r) // U+FFFD for what is not UTF-8
	cr := p.cr
	p.cr = p.paste && r == '\r'
	switch {
	case p.paste && r == '\n' && cr:
		return "", n
	case p.paste && (r == '\r' || r == '\n'):
		return keyEnter, n
	case p.paste && r == '\t':
		return " ", n
	case !p.paste && strings.ContainsRune(controls, r):
		return key, n
	case terminal.Line(key) != key || r >= '\ufdd0' && r <= '\ufdef':
		return "", n
	}
	return key, n
}

// escape is next for what begins with an ESC.
func (p *keyParser) escape(b []byte) (string, int) {
	if len(b) == 1 {
		return "", 0 // readline, too, lets ESC wait for the key it changes
	}
	switch c := b[1]; {
	case c == '[':
		return p.sequence(b)
	case c == 'O': // the same keys in a terminal's application mode
		if len(b) == 2 {
			return "", 0
		}
		if b[2] == 'M' && !p.paste {
			return keyEnter, 3
		}
		return p.key(string(b[2:3])), 3
	case c < 0x20: // ESC changes no control character
		return "", 1
	case strings.IndexByte("bfd\x7f", c) >= 0 && !p.paste:
		return string(b[:2]), 2
	case !utf8.FullRune(b[1:]):
		return "", 0
	}
	_, n := utf8.DecodeRune(b[1:])
	return "", 1 + n
}

// sequence is next for what begins with ESC [.
func (p *keyParser) sequence(b []byte) (string, int) {
	i := 2
	for i < len(b) && b[i] >= 0x20 && b[i] <= 0x3f {
		i++
	}
	switch {
	case i > maxSequence:
		return "", i
	case i == len(b):
		return "", 0
	case b[i] < 0x40 || b[i] > 0x7e:
		return "", i // broken off by another key
	}
	switch seq := string(b[2 : i+1]); seq {
	case pasteBegin:
		p.paste, p.cr = true, false
		return "", i + 1
	case pasteEnd:
		p.paste = false
		return "", i + 1
	default:
		return p.key(seq), i + 1
	}
}

func (p *keyParser) key(seq string) string {
	if p.paste {
		return ""
	}
	return sequences[seq]
}
