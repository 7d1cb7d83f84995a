package shell

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"peerlab/terminal"
)

const (
	// completeTime is how long a TAB waits for the peer: the line is stuck meanwhile.
	completeTime = time.Second
	// maxCandidates is the most candidates listed.
	maxCandidates = 200
)

// completer completes a line for readline. Where several words are possible
// it lists them above the line itself: readline's own list divides by zero in
// a narrow terminal and panics on wide characters.
type completer struct {
	ctx   context.Context // of the shell: readline hands none on
	peer  Peer
	local []string // the shell's own commands
	width func() int
	above func(text string) // shows text above the line
	// repeated reports whether the key before this TAB was one, too: whoever types
	// two wants to see the list, once.
	repeated func() bool
}

// Do returns what may be inserted at pos, at most one thing, as readline asks it.
func (c *completer) Do(line []rune, pos int) ([][]rune, int) {
	candidates, word := c.candidates(string(line[:pos]))
	if len(candidates) == 0 {
		return nil, 0
	}
	added := commonPrefix(candidates)[len(word):]
	switch {
	case len(candidates) == 1 && !strings.HasSuffix(candidates[0], "/") && !strings.HasSuffix(candidates[0], "="):
		added += " "
	case added == "" && c.repeated():
		return nil, 0
	case added == "":
		c.above(columns(candidates, c.width()))
		return nil, 0
	}
	return [][]rune{[]rune(added)}, utf8.RuneCountInString(word)
}

// candidates returns the possible words, as they would be typed, sorted.
func (c *completer) candidates(line string) (candidates []string, word string) {
	ctx, cancel := context.WithTimeout(c.ctx, completeTime)
	defer cancel()
	all := c.peer.Complete(ctx, line)
	word, before := strings.TrimLeft(line, " \t/"), ""
	if i := strings.LastIndexAny(word, " \t"); i >= 0 {
		word, before = word[i+1:], strings.TrimSpace(word[:i])
	}
	if before == "" || before == "help" {
		all = append(all, c.local...)
	}
	for _, s := range all {
		// What comes from peers goes to the line and so to the terminal.
		if terminal.Line(s) == s && strings.HasPrefix(s, word) {
			candidates = append(candidates, word+escape(s[len(word):]))
		}
	}
	slices.Sort(candidates)
	return slices.Compact(candidates), word
}

// escape writes s so that the peer reads it as part of one word.
func escape(s string) string {
	return strings.NewReplacer(` `, `\ `, `'`, `\'`, `"`, `\"`, `\`, `\\`, `$`, `\$`).Replace(s)
}

func commonPrefix(words []string) string {
	prefix := []rune(words[0])
	for _, w := range words[1:] {
		n := 0
		for _, r := range w {
			if n == len(prefix) || prefix[n] != r {
				break
			}
			n++
		}
		prefix = prefix[:n]
	}
	return string(prefix)
}

// columns sets words in columns, top to bottom, for a terminal of the given width.
func columns(words []string, width int) string {
	var more string
	if len(words) > maxCandidates {
		more = fmt.Sprintf("… and %d more\n", len(words)-maxCandidates)
		words = words[:maxCandidates]
	}
	widest := 0
	for _, w := range words {
		widest = max(widest, terminal.Width(w))
	}
	perLine := max(1, (width-1)/(widest+2))
	rows := (len(words) + perLine - 1) / perLine
	var b strings.Builder
	for row := range rows {
		for i := row; i < len(words); i += rows {
			word := words[i]
			if i+rows < len(words) {
				word = terminal.Pad(word, widest+2)
			}
			b.WriteString(word)
		}
		b.WriteByte('\n')
	}
	return b.String() + more
}
