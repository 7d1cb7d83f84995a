//go:build linux

package keyboard

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestKeyParser(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   []string // as the terminal's chunks
		want []string
	}{
		{"letters", []string{"aé€"}, []string{"a", "é", "€"}},
		{"a character in pieces", []string{"\xe2", "\x82", "\xac"}, []string{"€"}},
		{"a sequence in pieces", []string{"\x1b", "[", "1;5", "D"}, []string{"\x1bb"}},
		{"Enter", []string{"\r\n"}, []string{"\r", "\n"}},
		{"dangerous controls", []string{"\x00\x14\x1a\x1ca"}, []string{"a"}},
		{"C1 control", []string{"\u009ba"}, []string{"a"}},
		{"messages to the filter", []string{"\ufdd0\ufdd1a"}, []string{"a"}},
		{"Delete", []string{"\x1b[3~"}, []string{"\ufdd1\x1b[3~"}},
		{"keypad Enter", []string{"\x1bOM"}, []string{"\r"}},
		{"unknown sequence", []string{"\x1b[38;2;1ma\x1bOPb\x1bxc\x1b€d"}, []string{"a", "b", "c", "d"}},
		{"ESC and Ctrl-C", []string{"\x1b\x03"}, []string{"\x03"}},
		{"broken sequence", []string{"\x1b[1\x03a"}, []string{"\x03", "a"}},
		{"endless sequence", []string{"\x1b[" + strings.Repeat("1", 100) + "a"}, []string{"a"}},
		{"lone bytes", []string{"\xff\x80a"}, []string{"\ufffd", "\ufffd", "a"}},
		{"paste", []string{"\x1b[200~a\tb\r\nc\n\rd\x03\x1b[A\x1bOA\x1bbe\x1b[201~\t"}, []string{"a", " ", "b", "\r", "c", "\r", "\r", "d", "e", "\t"}},
		{"paste in pieces", []string{"\x1b[20", "0~a\r", "\nb\x1b[2", "01~\r"}, []string{"a", "\r", "b", "\r"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var p keyParser
			var got []string
			for _, chunk := range tc.in {
				got = append(got, p.feed([]byte(chunk))...)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%q gives %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

// However a terminal's bytes are cut into chunks, the keys are the same, whole,
// and none that readline must not see.
func FuzzKeyParser(f *testing.F) {
	f.Add([]byte("a€\x1b[A\x1b[200~\t\r\n\x1b[201~\x1bOM\xff"), 3)
	f.Add([]byte("\x1b\x1b[\x1b[200~\x1b[20"), 1)
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		at = max(0, min(at, len(b)))
		var whole, cut keyParser
		want := whole.feed(b)
		got := append(cut.feed(b[:at]), cut.feed(b[at:])...)
		if strings.Count(string(b), "\x1b[") == 0 && !slices.Equal(got, want) {
			t.Errorf("cut at %d: %q, want %q", at, got, want)
		}
		for _, key := range want {
			if !utf8.ValidString(key) || len(key) > 16 || strings.ContainsAny(key, "\x00\x14\x1a") || strings.HasPrefix(key, string(Wake)) {
				t.Errorf("%q gives the key %q", b, key)
			}
		}
		if len(whole.rest) > maxSequence+2 {
			t.Errorf("%d bytes are held back", len(whole.rest))
		}
	})
}
