package shell

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"github.com/rivo/uniseg"
)

// cursor puts the cursor where it belongs when readline draws the line: readline
// goes back from the end by one column for each code point, whatever it takes.
// It is readline's Painter, which is asked right before the line is written.
type cursor struct {
	prompt string
	width  func() int // of the terminal

	mu    sync.Mutex
	line  []rune
	pos   int
	drawn bool // what is written next is the line
}

// Paint implements readline.Painter. It changes nothing.
func (c *cursor) Paint(line []rune, pos int) []rune {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line, c.pos, c.drawn = line, pos, true
	return line
}

// place returns what readline writes, with the end made anew if it is the line.
func (c *cursor) place(p []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	drawn, text := c.drawn, c.prompt+string(c.line)
	c.drawn = false
	// A line with an end is over: nothing is typed in it any more.
	if !drawn || !bytes.HasPrefix(p, []byte(text)) || strings.Contains(text, "\n") {
		return p
	}
	width := c.width()
	row, column := position(text, width)
	toRow, toColumn := position(c.prompt+string(c.line[:c.pos]), width)
	end := ""
	if column == 0 && row > 0 {
		end = " \b" // the terminal begins a row only for what stands in it
	}
	if c.pos < len(c.line) {
		end += "\r"
		if row > toRow {
			end += fmt.Sprintf("\x1b[%dA", row-toRow)
		}
		if toColumn > 0 {
			end += fmt.Sprintf("\x1b[%dC", toColumn)
		}
	}
	return []byte(text + end)
}

// position returns where the cursor is behind a text that begins in the first
// column of a terminal.
func position(text string, width int) (row, column int) {
	for g := uniseg.NewGraphemes(text); g.Next(); {
		w := g.Width()
		if column+w > width {
			row, column = row+1, 0
		}
		column += w
	}
	if column == width {
		row, column = row+1, 0
	}
	return row, column
}
