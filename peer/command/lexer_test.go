package command_test

import (
	"slices"
	"strings"
	"testing"

	"peerlab/peer/command"
)

func TestSplit(t *testing.T) {
	for _, tc := range []struct {
		line string
		want []string
	}{
		{"", nil},
		{"   \t", nil},
		{"members", []string{"members"}},
		{"/members", []string{"members"}},
		{"/", nil},
		{"  msg  a   b ", []string{"msg", "a", "b"}},
		{"msg 'a  b' \"c  d\"", []string{"msg", "a  b", "c  d"}},
		{`msg "say \"hi\" \n \\"`, []string{"msg", `say "hi" \n \`}},
		{`msg 'a\b'`, []string{"msg", `a\b`}},
		{`msg don\'t`, []string{"msg", "don't"}},
		{`msg a'b 'c`, []string{"msg", "ab c"}},
		{"msg ''", []string{"msg", ""}},
		{"''", []string{""}},
		{"msg a # b", []string{"msg", "a", "#", "b"}},
		{"# only", nil},
		{" \t# only", nil},
		{"/ msg", []string{"msg"}},
		{"msg a\r\n", []string{"msg", "a"}},
		{"msg a#b", []string{"msg", "a#b"}},
		{`msg \# '#'`, []string{"msg", "#", "#"}},
		{"execute /tmp/x", []string{"execute", "/tmp/x"}},
		{"testfilter messagesView 1 <bob> hello", []string{"testfilter", "messagesView", "1", "<bob>", "hello"}},
	} {
		got, err := command.Split(tc.line)
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("Split(%q) = %q, %v, want %q", tc.line, got, err, tc.want)
		}
	}
	for line, want := range map[string]string{
		"msg 'open":                         "unterminated quote: close the '",
		`msg "open`:                         `unterminated quote: close the "`,
		`msg \`:                             "escapes nothing",
		"msg \xff":                          "not valid UTF-8",
		"msg \x00":                          "NUL",
		"msg " + strings.Repeat("x", 1<<20): "the limit is 65536",
	} {
		if _, err := command.Split(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Split(%.20q): %v, want %q", line, err, want)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, line := range []string{"", "/msg a", `a 'b c' "d\"e" \# # x`, "''", `'`, `\`, "/"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, err := command.Split(line)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %q", err)
			}
			return
		}
		joined := command.Join(words)
		if len(joined) > command.MaxLine {
			return
		}
		again, err := command.Split(joined)
		if err != nil || !slices.Equal(again, words) {
			t.Errorf("%q splits into %q, which comes back through %q as %q, %v", line, words, joined, again, err)
		}
	})
}
