package terminal_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"peerlab/terminal"
)

func TestClean(t *testing.T) {
	for _, tc := range []struct{ name, in, clean, line string }{
		{"plain", "hello, wörld ❯ 日本", "hello, wörld ❯ 日本", "hello, wörld ❯ 日本"},
		{"newline and tab", "a\n\tb", "a\n\tb", "a��b"},
		{"clear screen", "\x1b[2Jx", "�[2Jx", "�[2Jx"},
		{"8-bit CSI", "\u009b2Jx", "�2Jx", "�2Jx"},
		{"carriage return hides a line", "evil\rgood", "evil�good", "evil�good"},
		{"bell and delete", "\a\x7f", "��", "��"},
		{"bidi override", "a\u202egnp", "a�gnp", "a�gnp"},
		{"not UTF-8", "a\xffb", "a�b", "a�b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := terminal.Clean(tc.in); got != tc.clean {
				t.Errorf("Clean(%q) = %q, want %q", tc.in, got, tc.clean)
			}
			if got := terminal.Line(tc.in); got != tc.line {
				t.Errorf("Line(%q) = %q, want %q", tc.in, got, tc.line)
			}
		})
	}
}

func FuzzEscapeJSON(f *testing.F) {
	f.Add("plain")
	f.Add("\x1b[2J\u009b\u202e\x7f\xff")
	f.Fuzz(func(t *testing.T, s string) {
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		escaped := terminal.EscapeJSON(raw)
		if i := strings.IndexFunc(string(escaped), unicode.IsControl); i >= 0 {
			t.Errorf("control character left at %d: %q", i, escaped)
		}
		var want, got string
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(escaped, &got); err != nil {
			t.Fatalf("%q is no JSON any more: %v", escaped, err)
		}
		if got != want {
			t.Errorf("decodes to %q, want %q", got, want)
		}
	})
}
