package terminal_test

import (
	"slices"
	"strings"
	"testing"

	"peerlab/internal/terminal"
)

func TestWrap(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		width      int
		want       []string
	}{
		{"empty", "", 5, []string{""}},
		{"fits", "a b c", 5, []string{"a b c"}},
		{"no limit", "a b c d e f", 0, []string{"a b c d e f"}},
		{"between words", "one two three", 7, []string{"one two", "three"}},
		{"a word longer than a line", "abcdefgh ij", 3, []string{"abc", "def", "gh", "ij"}},
		{"wide characters", "日本語 ab", 4, []string{"日本", "語", "ab"}},
		{"a wider character than the line", "日本", 1, []string{"日", "本"}},
		{"an accent stays at its letter", "ae\u0301ae\u0301", 2, []string{"ae\u0301", "ae\u0301"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := terminal.Wrap(tc.text, tc.width); !slices.Equal(got, tc.want) {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestFitColumns(t *testing.T) {
	for _, tc := range []struct {
		name   string
		widths []int
		total  int
		want   []int
	}{
		{"no limit", []int{10, 100}, 0, []int{10, 100}},
		{"fits", []int{10, 20}, 32, []int{10, 20}},
		{"the widest shrinks", []int{10, 100}, 80, []int{10, 68}},
		{"two shrink alike", []int{50, 4, 50}, 47, []int{20, 4, 19}},
		{"too narrow", []int{50, 50}, 3, []int{6, 6}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := terminal.FitColumns(tc.widths, 2, tc.total); !slices.Equal(got, tc.want) {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

func TestDefinitions(t *testing.T) {
	items := [][2]string{{"exit", "leave the shell as Ctrl-D does"}, {"a long synopsis of a command", "what it does"}}
	want := "  exit  leave the shell as Ctrl-D does\n" +
		"  a long synopsis of a command\n" +
		"        what it does\n"
	if got := terminal.Definitions(items, 38); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	want = "  exit  leave the\n        shell as\n        Ctrl-D\n        does\n  a long\n      synopsis of\n      a command\n        what it\n        does\n"
	if got := terminal.Definitions(items, 18); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Nothing is lost but blanks between lines, and no line is longer than it may
// be, unless it is a single character.
func FuzzWrap(f *testing.F) {
	f.Add("one two  three", 4)
	f.Add("日本語 e\u0301 👩‍👩‍👧", 2)
	f.Fuzz(func(t *testing.T, text string, width int) {
		width %= 200
		if len(text) > 1000 {
			return
		}
		lines := terminal.Wrap(text, width)
		without := func(s string) string { return strings.ReplaceAll(s, " ", "") }
		if without(strings.Join(lines, "")) != without(text) {
			t.Errorf("%q becomes %q", text, lines)
		}
		for _, line := range lines {
			// A single character may be wider than the line.
			if len(terminal.Wrap(line, width)) > 1 {
				t.Errorf("%q is wider than %d", line, width)
			}
		}
	})
}
