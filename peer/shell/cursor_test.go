//go:build linux

package shell

import (
	"strings"
	"testing"
)

// The cursor is put by columns, whatever a character takes.
func TestCursor(t *testing.T) {
	for _, tc := range []struct {
		name, line string
		pos        int
		want       string // behind the line
	}{
		{"at the end", "abc", 3, ""},
		{"plain", "abc", 1, "\r\x1b[3C"},
		{"behind an accent", "e\u0301abc", 2, "\r\x1b[3C"},
		{"before wide characters", "日本", 0, "\r\x1b[2C"},
		{"between wide characters", "日本", 1, "\r\x1b[4C"},
		{"before an emoji of several parts", "👩\u200d👧", 0, "\r\x1b[2C"},
		{"in the row before", strings.Repeat("x", 12), 3, "\r\x1b[1A\x1b[5C"},
		{"a full row", strings.Repeat("x", 8), 8, " \b"},
		{"a full row, and back", strings.Repeat("x", 8), 0, " \b\r\x1b[1A\x1b[2C"},
		{"a wide character that has no room in the row", strings.Repeat("x", 7) + "日", 7, "\r\x1b[1A\x1b[9C"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := cursor{prompt: "> ", width: func() int { return 10 }}
			line := []rune(tc.line)
			c.Paint(line, tc.pos)
			drawn := "> " + tc.line + strings.Repeat("\b", len(line)-tc.pos)
			if got, want := string(c.place([]byte(drawn))), "> "+tc.line+tc.want; got != want {
				t.Errorf("%q, want %q", got, want)
			}
			if got := string(c.place([]byte(drawn))); got != drawn {
				t.Errorf("what is not the line becomes %q", got)
			}
		})
	}
}

// Whatever the line, every key leaves the cursor in it, and between characters.
func FuzzWholeCharacters(f *testing.F) {
	f.Add("ae\u0301b", 2, byte(0x7f))
	f.Add("👩\u200d👧", 1, byte(2))
	f.Fuzz(func(t *testing.T, text string, at int, key byte) {
		before := []rune(text)
		if at < 0 || at > len(before) {
			return
		}
		line, pos := []rune(text), at
		switch { // what readline does
		case key == 2 && at > 0:
			pos--
		case key == 6 && at < len(line):
			pos++
		case (key == 8 || key == 0x7f) && at > 0:
			line, pos = append(line[:at-1:at-1], line[at:]...), at-1
		case key == 4 && at < len(line):
			line = append(line[:at:at], line[at+1:]...)
		}
		got, to, _ := wholeCharacters(before, at, line, pos, rune(key))
		if to < 0 || to > len(got) {
			t.Errorf("the cursor is at %d of %d", to, len(got))
		}
		if len(got) > len(before) {
			t.Errorf("%q becomes %q", text, string(got))
		}
	})
}
