package shell

import (
	"slices"

	"github.com/abiosoft/readline"
	"github.com/rivo/uniseg"
)

// wholeCharacters makes keys act on what a person sees as one character, such as
// a letter with an accent of its own or an emoji of several parts: readline has
// done for the key what it does for one code point. It is given the line and the
// place of the cursor before and after, and returns how they have to be, and
// whether that is something else.
func wholeCharacters(before []rune, at int, line []rune, pos int, key rune) ([]rune, int, bool) {
	switch key {
	case readline.CharBackward:
		start := characterStart(line, pos)
		return line, start, start != pos
	case readline.CharForward:
		end := characterEnd(line, pos)
		return line, end, end != pos
	case readline.CharBackspace, readline.CharCtrlH:
		if start := characterStart(before, at-1); at > 0 && start < at-1 {
			return slices.Concat(before[:start], before[at:]), start, true
		}
	case readline.CharDelete:
		if end := characterEnd(before, at+1); len(line) < len(before) && end > at+1 {
			return slices.Concat(before[:at], before[end:]), at, true
		}
	}
	return line, pos, false
}

// characterStart returns where the character begins that has something at pos,
// and characterEnd where it ends that has something before pos.
func characterStart(line []rune, pos int) int {
	start := 0
	for _, end := range characterEnds(line) {
		if end > pos {
			break
		}
		start = end
	}
	return min(start, max(pos, 0))
}

func characterEnd(line []rune, pos int) int {
	for _, end := range characterEnds(line) {
		if end >= pos {
			return end
		}
	}
	return pos
}

// characterEnds returns where the characters of a line end.
func characterEnds(line []rune) []int {
	var ends []int
	n := 0
	for g := uniseg.NewGraphemes(string(line)); g.Next(); {
		n += len(g.Runes())
		ends = append(ends, n)
	}
	return ends
}
