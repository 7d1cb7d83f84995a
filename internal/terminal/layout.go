package terminal

import (
	"strings"

	"github.com/rivo/uniseg"
)

// Width returns how many columns of a terminal s takes: an accent that combines
// takes none, a Chinese character or an emoji two.
func Width(s string) int { return uniseg.StringWidth(s) }

// Pad returns s with blanks behind it up to a width in columns.
func Pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-Width(s)))
}

// Wrap cuts text, which has no line ends, into lines of at most width columns,
// between words, and inside a word that is longer than a line. It returns at
// least one line. A width below 1 does not limit.
func Wrap(text string, width int) []string {
	if width < 1 || Width(text) <= width {
		return []string{text}
	}
	var lines []string
	line := ""
	for _, word := range strings.Split(text, " ") {
		switch {
		case line == "":
		case Width(line)+1+Width(word) <= width:
			line += " " + word
			continue
		default:
			lines = append(lines, line)
		}
		for line = word; ; {
			n := prefix(line, width)
			if n == len(line) {
				break
			}
			lines = append(lines, line[:n])
			line = line[n:]
		}
	}
	return append(lines, line)
}

// prefix returns the length in bytes of the longest beginning of s that takes at
// most width columns, and of one character at the least.
func prefix(s string, width int) int {
	taken, columns := 0, 0
	for g := uniseg.NewGraphemes(s); g.Next(); {
		columns += g.Width()
		if columns > width && taken > 0 {
			break
		}
		_, taken = g.Positions()
	}
	return taken
}

// Truncate returns the longest beginning of s that takes at most width columns,
// and one character at the least.
func Truncate(s string, width int) string { return s[:prefix(s, width)] }

// minColumn is the width below which a column is not shrunk.
const minColumn = 6

// FitColumns returns the widths of a table's columns that have room beside each
// other, with gap between two of them, in a line of total columns: the widest
// are shrunk, as little as possible and never below 6. A total of 0 does not
// limit.
func FitColumns(widths []int, gap, total int) []int {
	sum := func(limit int) int {
		sum := gap * (len(widths) - 1)
		for _, w := range widths {
			sum += min(w, limit)
		}
		return sum
	}
	limit := minColumn
	for _, w := range widths {
		limit = max(limit, w)
	}
	for total > 0 && limit > minColumn && sum(limit) > total {
		limit--
	}
	fitted := make([]int, len(widths))
	left := total - sum(limit) // what the last step was too much
	for i, w := range widths {
		fitted[i] = min(w, limit)
		if w > limit && left > 0 {
			fitted[i]++
			left--
		}
	}
	return fitted
}

// Definitions lays out terms, each with its text beside it, in lines of at most
// columns columns. The texts stay in their own column; a term that is too long
// for the first has a line of its own. Each line is indented by two blanks.
func Definitions(items [][2]string, columns int) string {
	first := 0
	for _, item := range items {
		if w := Width(item[0]); columns <= 0 || w <= columns*2/5 {
			first = max(first, w)
		}
	}
	rest := max(columns-first-4, 10)
	if columns <= 0 {
		rest = 0
	}
	var b strings.Builder
	for _, item := range items {
		term := item[0]
		if Width(term) > first {
			indent := "  "
			for _, line := range Wrap(term, max(columns-6, 1)) {
				b.WriteString(indent + line + "\n")
				indent = "      "
			}
			term = ""
		}
		for _, line := range Wrap(item[1], rest) {
			b.WriteString(strings.TrimRight("  "+Pad(term, first)+"  "+line, " ") + "\n")
			term = ""
		}
	}
	return b.String()
}
