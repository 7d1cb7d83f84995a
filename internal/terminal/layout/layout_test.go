package layout

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/text"

	"peerlab/internal/terminal"
)

func TestTable(t *testing.T) {
	for _, test := range []struct {
		name  string
		width int
		table func() *Table
		want  string
	}{
		{"no limit", 0, func() *Table {
			table := NewTable("NAME", "Why")
			table.Row("a", strings.Repeat("long ", 20)+"end")
			return table
		}, "NAME  Why\na     " + strings.Repeat("long ", 20) + "end\n"},
		{"a long cell wraps inside its column", 30, func() *Table {
			table := NewTable("NAME", "SECONDS", "WHY")
			table.AlignRight(1)
			table.Row("crash", "1.5", "the reason is a long one")
			table.Row("b", "10.5", "")
			return table
		}, "NAME   SECONDS  WHY\ncrash      1.5  the reason is\n                a long one\nb         10.5\n"},
		{"a long word is broken", 20, func() *Table {
			table := NewTable()
			table.Row("ok", strings.Repeat("x", 20))
			return table
		}, "ok  xxxxxxxxxxxxxxxx\n    xxxx\n"},
		{"the color is no width", 13, func() *Table {
			table := NewTable()
			table.Row(terminal.Green.Paint("ok"), "one two")
			table.Row("fine", "three")
			return table
		}, terminal.Green.Paint("ok") + "    one two\nfine  three\n"},
		{"too many columns", 20, func() *Table {
			table := NewTable("A", "B", "C")
			table.Row("aaaaaaaa", "bbbbbbbb", "cccccccc")
			table.Row("1", "2", "3")
			return table
		}, "A  aaaaaaaa\nB  bbbbbbbb\nC  cccccccc\n\nA  1\nB  2\nC  3\n"},
		{"nothing", 20, func() *Table { return NewTable() }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.table().String(test.width); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		line          string
		width, indent int
		want          string
	}{
		{"short", 80, 4, "short"},
		{strings.Repeat("word ", 30), 0, 0, strings.Repeat("word ", 30)},
		{"kill first  5 s, expected 4.67 s (4 to 8 s)  within", 40, 12, "kill first  5 s, expected 4.67 s (4 to 8\n            s)  within"},
		{"a: " + strings.Repeat("x", 50), 30, 3, "a:\n   " + strings.Repeat("x", 50)},
		{terminal.Red.Paint("fail") + ": a reason that is long", 20, 6, terminal.Red.Paint("fail") + ": a reason that\nis long"},
	} {
		if got := Wrap(test.line, test.width, test.indent); got != test.want {
			t.Errorf("%q to %d:\n%s\nwant\n%s", test.line, test.width, got, test.want)
		}
	}
}

// Whatever the cells hold: no line is wider, where words and columns allow it,
// and no word is lost.
func FuzzTable(f *testing.F) {
	f.Add("a b", "long text of some words", 20)
	f.Add("é", "漢字漢字漢字", 12)
	f.Fuzz(func(t *testing.T, a, b string, width int) {
		if !utf8.ValidString(a+b) || len(a)+len(b) > 1000 {
			t.Skip()
		}
		a, b, width = terminal.Line(a), terminal.Line(b), 20+(width%100+100)%100
		table := NewTable("A", "B")
		table.Row(a, b)
		for line := range strings.Lines(table.String(width)) {
			if got := text.StringWidthWithoutEscSequences(strings.TrimSuffix(line, "\n")); got > width+1 { // a wide character
				t.Errorf("%d columns, want %d: %q", got, width, line)
			}
		}
	})
}
