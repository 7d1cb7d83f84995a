package scenarios

import (
	"bufio"
	"io"
	"slices"
	"strings"
	"testing"

	"rsc.io/script"
)

// recorder is a command that notes how it was called.
type recorder struct {
	args   []string
	called bool
}

func (r *recorder) Usage() *script.CmdUsage { return &script.CmdUsage{Async: true} }

func (r *recorder) Run(_ *script.State, args ...string) (script.WaitFunc, error) {
	r.called, r.args = true, args
	return func(*script.State) (string, string, error) { return "", "", nil }, nil
}

// FuzzParseLine compares our reading of a line, which knows columns, with that
// of rsc.io/script, which runs it.
func FuzzParseLine(f *testing.F) {
	for _, line := range []string{
		"start", "  kill bob,charly # now", "[docker] ! alice msg 'it''s' a'b c'd &", "await $X*2 all", "a ''", "'x' y", "? a 'b", "[] a", "! ! a", "a '' '' &", "[!x] a\t'\r'",
		"a'b' c", "& x", "a b#c",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\n\x00") || strings.HasPrefix(line, "#") || strings.Contains(line, "${") {
			return // several lines, or what Parse refuses
		}
		c, problem := parseLine(line)
		value := func(string) string { return "V" }
		var name string
		var args []string
		if c != nil {
			name = c.name.raw()
			for _, w := range c.args {
				args = append(args, w.expand(value))
				if w.col < 1 || w.col > len(line) {
					t.Errorf("%q: column %d", line, w.col)
				}
			}
			for _, g := range c.guards {
				if strings.Contains(g.tag, ":") {
					return // a prefix condition: the same to us
				}
			}
		}
		// Their engine, with every name that we found.
		rec := &recorder{}
		e := &script.Engine{Cmds: map[string]script.Cmd{name: rec}, Conds: map[string]script.Cond{}}
		if c != nil {
			for _, g := range c.guards {
				e.Conds[g.tag] = script.BoolCondition("", g.want)
			}
		}
		s, err := script.NewState(t.Context(), ".", []string{})
		if err != nil {
			t.Fatal(err)
		}
		err = e.Execute(s, "x", bufio.NewReader(strings.NewReader(line)), io.Discard)
		switch {
		case problem != nil:
			// We may be stricter, never more lenient.
		case c == nil && (err != nil || rec.called):
			t.Errorf("%q: blank to us, to script %v", line, err)
		case c != nil && !rec.called && !contradicts(c):
			t.Errorf("%q: %s %q to us, to script %v", line, name, args, err)
		case c != nil && rec.called && len(args)+len(rec.args) > 0 && !strings.Contains(line, "$") && !slices.Equal(args, rec.args):
			t.Errorf("%q: %q to us, %q to script", line, args, rec.args)
		}
	})
}

// contradicts says whether two conditions on a line cannot both hold.
func contradicts(c *command) bool {
	for _, a := range c.guards {
		for _, b := range c.guards {
			if a.tag == b.tag && a.want != b.want {
				return true
			}
		}
	}
	return false
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
		for _, p := range err.(Problems) {
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
