package main

import (
	"io"
	"os"
	"regexp"
	"slices"

	"peerlab/internal/terminal"
	"peerlab/observe"
)

// colorModes are the values of --color.
var colorModes = []string{"auto", "always", "never"}

// palette colors words by what they mean. The zero palette colors nothing.
type palette struct{ on bool }

// palette returns that of what is written to w. By itself only a terminal gets
// colors, and not if NO_COLOR is set (no-color.org).
func (l *lab) palette(w io.Writer) palette {
	switch l.color {
	case "always":
		return palette{true}
	case "never":
		return palette{}
	}
	f, is := terminal.Raw(w).(*os.File)
	return palette{is && terminal.TakesColor(f)}
}

// meanings are the words that have a color.
var meanings = map[string]terminal.Color{
	string(observe.Pass): terminal.Green, string(observe.Fail): terminal.Red, string(observe.Inconclusive): terminal.Yellow,
	"alive": terminal.Green, "suspect": terminal.Yellow, "dead": terminal.Red,
	"ok": terminal.Green, "missing": terminal.Red, "unknown": terminal.Yellow,
	"healthy": terminal.Green, "cut": terminal.Red,
	"running": terminal.Green, "paused": terminal.Yellow, "stopped": terminal.Red, "killed": terminal.Red,
	"OK": terminal.Green, "FAILED": terminal.Red,
}

// cell colors a cell of a table by its first word.
func (p palette) cell(text string) string {
	if first := firstWord.FindString(text); p.on && meanings[first] != terminal.Plain {
		return meanings[first].Paint(text)
	}
	return text
}

// as colors a text like a verdict.
func (p palette) as(v observe.Verdict, text string) string {
	if !p.on {
		return text
	}
	return meanings[string(v)].Paint(text)
}

var (
	firstWord = regexp.MustCompile(`^[A-Za-z]+`)
	words     = regexp.MustCompile(`[A-Za-z]+`)
)

// words colors those of the words in a text that say what somebody or
// something is. In a sentence "killed" and "left" may be anything.
func (p palette) words(text string, only ...string) string {
	if !p.on {
		return text
	}
	return words.ReplaceAllStringFunc(text, func(word string) string {
		if slices.Contains(only, word) {
			return meanings[word].Paint(word)
		}
		return word
	})
}

// story colors a line of what is told of a run.
func (p palette) story(line string) string {
	return p.words(line, "pass", "fail", "inconclusive", "alive", "suspect", "dead")
}
