package terminal_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"peerlab/internal/terminal"
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

func TestOneLineOfAText(t *testing.T) {
	if got, want := terminal.Join("create the cluster:\n\n  no image\n\ttry again\x1b[2J\n"), "create the cluster:; no image; try again\ufffd[2J"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, tc := range []struct {
		line string
		most int
		want string
	}{{"äöü", 3, "äöü"}, {"äöüx", 3, "äö…"}, {"", 3, ""}, {"ab", 1, "…"}} {
		if got := terminal.Shorten(tc.line, tc.most); got != tc.want {
			t.Errorf("%q to %d: %q, want %q", tc.line, tc.most, got, tc.want)
		}
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

func TestCleanPainted(t *testing.T) {
	for in, want := range map[string]string{
		terminal.Red.Paint("dead"):       "\x1b[31mdead\x1b[0m",
		terminal.Plain.Paint("x"):        "x",
		"\x1b[31m\x1b[2J\x1b[8mhidden":   "\x1b[31m�[2J�[8mhidden",
		"\x1b[1;31mx":                    "�[1;31mx",
		"\x1b[32mok\x1b[0m \u009b31m \r": "\x1b[32mok\x1b[0m �31m �",
	} {
		if got := terminal.CleanPainted(in); got != want {
			t.Errorf("CleanPainted(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestUnfinished(t *testing.T) {
	for in, want := range map[string]int{
		"": 0, "x": 0, "x\x1b": 1, "x\x1b[": 2, "x\x1b[3": 3, "x\x1b[31": 4, "x\x1b[31m": 0, "x\x1b[9": 0, "x\x1b]": 0,
	} {
		if got := terminal.Unfinished([]byte(in)); got != want {
			t.Errorf("Unfinished(%q) = %d, want %d", in, got, want)
		}
	}
}
