package command

import (
	"context"
	"strings"
	"testing"
)

// How much is looked up for a line depends on the names there are, not on the
// words of the line: a line of 64 KiB has 32,000.
func TestFindLooksAtNoMoreWordsThanANameHas(t *testing.T) {
	r := &Registry{}
	run := func(context.Context, *Call) error { return nil }
	if err := r.Add(Command{Name: "say", Run: run, MaxArgs: -1}, Command{Name: "one two", Aliases: []string{"one two three"}, Run: run, MaxArgs: -1}); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]int{
		"say": 1, "one two": 2, "one two four": 2, "one two three": 3, "one two three four": 3, "one": 0, "nothing": 0, "": 0,
	} {
		words := strings.Fields(line + strings.Repeat(" x", 2_000))
		if c, n := r.find(words); n != want || (c != nil) != (want > 0) {
			t.Errorf("%q: %d words name a command, want %d", line, n, want)
		}
		// Each name tried that has several words is one allocation.
		if made := testing.AllocsPerRun(1, func() { r.find(words) }); made > 3 {
			t.Errorf("%q with 2,000 words: %.0f names are tried, the longest has 3 words", line, made)
		}
	}
}
