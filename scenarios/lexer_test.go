package scenarios

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A line for a peer, and a text, are the rest of the line as it is written.
func TestRestOfTheLine(t *testing.T) {
	for line, want := range map[string]string{
		"alice msg it's fine":                  "alice|msg it's fine",
		"! alice,bob msg #1  'a' ":             "alice,bob|msg #1  'a' ",
		"alice msg a & b":                      "alice|msg a & b",
		"alice msg a &":                        "alice|msg a|&",
		"alice msg a &\t ":                     "alice|msg a|&",
		"alice msg 'a &'":                      "alice|msg 'a &'",
		"alice msg a&":                         "alice|msg a&",
		"alice &":                              "alice|&",
		"alice":                                "alice",
		"mark it's  'done' # 1":                "mark|it's  'done' # 1",
		"[!netem] skip it's $5":                "skip|it's $5",
		"repeat 3 every=1s bob msg {}: it's &": "repeat|3|every=1s|bob|msg {}: it's|&",
		"repeat 3 'bob' msg '{}'":              "repeat|3|bob|msg '{}'",
		"measure fp since it's   #1":           "measure|fp|since|it's   #1",
		"await 5s a has message it's   # 1":    "await|5s|a|has|message|it's   # 1",
		"check not a,b have key k a   b":       "check|not|a,b|have|key|k|a   b",
		"check a has key k":                    "check|a|has|key|k",
		"hold 5s a answers 'x y' with it's  #": "hold|5s|a|answers|x y|with|it's  #",
		"check all see 3 alive":                "check|all|see|3|alive",
		"kill 'it''s' a'b c'd\r\n":             "kill|it's|ab cd",
		"kill a#b":                             "kill|a#b",
		"kill '#b' ''":                         "kill|#b|",
		"  # it's a comment":                   "",
		" \t":                                  "",
	} {
		c, problem := parseLine(line)
		if problem != nil {
			t.Errorf("%q: %v", line, problem)
			continue
		}
		var words []string
		if c != nil {
			words = append(words, c.name.raw())
			for _, w := range c.args {
				words = append(words, w.raw())
			}
			if c.background {
				words = append(words, "&")
			}
		}
		if got := strings.Join(words, "|"); got != want {
			t.Errorf("%q is %q, want %q", line, got, want)
		}
	}
}

// FuzzParseLine: whatever a line is, its words have a place, what is for a peer
// is as it is written, and the words of a verb can be written again.
func FuzzParseLine(f *testing.F) {
	for _, line := range []string{
		"start", "  kill bob,charly # now", "[docker] ! alice msg 'it''s' a'b c'd &", "await $X*2 all", "a ''", "'x' y", "? a 'b", "[] a", "! ! a", "a '' '' &", "[!x] a\t'\r'",
		"a'b' c", "& x", "a b#c", "kill 'it''s' 'b", "mark it's & ", "repeat 2 every=1s a b 'c", "kill a''b'c'",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, problem := parseLine(line)
		if problem != nil {
			if problem.Col < 1 || problem.Col > len(line)+1 {
				t.Errorf("%q: column %d", line, problem.Col)
			}
			return
		}
		if c == nil {
			return
		}
		for i, w := range c.args {
			switch {
			case w.col < 1 || w.col > len(line):
				t.Errorf("%q: column %d", line, w.col)
			case w.form != plain && (i != len(c.args)-1 || !strings.Contains(line, w.raw())):
				t.Errorf("%q: %q is not the rest of the line", line, w.raw())
			case w.form == plain:
				r := newLineReader(w.source())
				again, problem := r.word()
				if problem != nil || r.at != len(w.source()) || again.raw() != w.raw() {
					t.Errorf("%q: %q comes back through %q as %q, %v", line, w.raw(), w.source(), again.raw(), problem)
				}
			}
		}
	})
}

// FuzzParse has scenarios of any text checked: nothing in them makes lint stop.
func FuzzParse(f *testing.F) {
	all, err := Gallery()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range all {
		f.Add(s.Text)
	}
	for _, m := range ofVerbs() {
		f.Add(m.pass)
	}
	for _, m := range ofConditions() {
		f.Add(m.mutated)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("x.txt", text)
		if err == nil {
			_, err = s.Plans(t.Context(), nil, "", nil)
		}
		if err == nil {
			return
		}
		var problems Problems
		if !errors.As(err, &problems) {
			t.Fatal(err)
		}
		for _, p := range problems {
			if p.Line < 1 || p.Col < 1 || p.Text == "" || p.File == "" {
				t.Errorf("%+v", p)
			}
		}
	})
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]string{
		"90s": "1m30s", "2*90s": "3m0s", "90s*0.5+1m-30s": "1m15s", "1.5×10s": "15s", "0s": "0s", "1h": "1h0m0s",
		"": "want a duration", "10": "want one duration", "1s*2s": "want one duration", "1s-2s": "not within 0", "x": "want a duration",
		"1s+": "want a duration", "+1s": "want a duration", "NaN*1s": "want a duration", "1e300*1s": "not within 0", "Inf*1s": "want a duration", "1000000h": "not within 0",
	} {
		d, err := parseDuration(text)
		got := d.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || (err == nil) != (got == want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func FuzzDuration(f *testing.F) {
	f.Add("2*90s+1s")
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := parseDuration(text); err == nil && (d < 0 || d > longest) {
			t.Errorf("%q: %s", text, d)
		}
	})
}

// BenchmarkWords shows what a word of a line costs, read and checked: it does
// not grow with their number.
func BenchmarkWords(b *testing.B) {
	for _, line := range []string{"check all see %s", "check not %s", "await 5s %s", "await 5s all answer %s", "mark %s", "kill %s"} {
		for _, n := range []int{1_000, 10_000} {
			text := "cluster 2\nstart\n" + fmt.Sprintf(line, strings.Repeat("not ", n)) + "\n"
			b.Run(fmt.Sprintf("%s/%d", line, n), func(b *testing.B) {
				for b.Loop() {
					if s, err := Parse("x.txt", text); err == nil {
						_, _ = s.Plans(b.Context(), nil, "", nil)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/word")
			})
		}
	}
}
