package command_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"peerlab/peer/command"
)

// texts returns a registry with commands that take a text, and how the last of
// them was called: its name, its flags if they are not the default, and its
// arguments.
func texts(t testing.TB) (*command.Registry, func() []string) {
	t.Helper()
	var got []string
	flags := func(fs *flag.FlagSet) command.Func {
		wait := fs.Bool("wait", false, "")
		times := fs.Int("times", 1, "")
		return func(_ context.Context, c *command.Call) error {
			got = []string{c.Name}
			if *wait || *times != 1 || c.JSON {
				got = append(got, fmt.Sprintf("(%t %d %t)", *wait, *times, c.JSON))
			}
			got = append(got, c.Args...)
			return nil
		}
	}
	plain := func(_ context.Context, c *command.Call) error {
		got = append([]string{c.Name}, c.Args...)
		return nil
	}
	r := &command.Registry{}
	if err := r.Add(
		command.Command{Name: "say", MinArgs: 1, MaxArgs: -1, Text: true, Data: true, Flags: flags},
		command.Command{Name: "print", MaxArgs: -1, Text: true, Run: plain},
		command.Command{Name: "map add", Aliases: []string{"mapadd"}, MinArgs: 2, MaxArgs: -1, Text: true, TextAfter: 1, Run: plain},
		command.Command{Name: "expect", MinArgs: 3, MaxArgs: -1, Text: true, TextAfter: 2, Run: plain},
		command.Command{Name: "look", MaxArgs: -1, Run: plain},
		command.Command{Name: "fail", MaxArgs: -1, Run: func(context.Context, *command.Call) error { return errors.New("as told") }},
	); err != nil {
		t.Fatal(err)
	}
	return r, func() []string {
		words := got
		got = nil
		return words
	}
}

// verbatim are texts that arrive as they are written.
var verbatim = []string{
	"issue #1 is done", "#1", "it's fine", `C:\dir\new`, "a   b", "-1 is a number", "it costs $5", "a & b", "a &", "trailing  ", `"`, `'`, `\`,
	"'a' and 'b'", `say "hi"`, "'it's'", "- a dash", "-", "a -- b", "a -wait b", "$", "${", "$unset ${unset}", "it's $unset", "ü €  '", "/x", "-it's", "a\nb",
	"-wa\"it", "--=", "-=", "---", "--1",
}

func TestTextIsVerbatim(t *testing.T) {
	r, got := texts(t)
	for _, text := range verbatim {
		for line, want := range map[string][]string{
			"say " + text:                     {"say", text},
			"  /say \t" + text + "\r\n":       {"say", text},
			"say -wait -times 2 -- " + text:   {"say", "(true 2 false)", text},
			"say --format=json " + text:       {"say", "(false 1 true)", text},
			"print " + text:                   {"print", text},
			"map add key " + text:             {"map add", "key", text},
			"mapadd 'the key' " + text:        {"map add", "the key", text},
			`expect a\ view 1 ` + text:        {"expect", "a view", "1", text},
			"say " + wrapped(text):            {"say", text},
			"map  add $key " + wrapped(text):  {"map add", "value", text},
			"print " + wrapped(text) + "\r\n": {"print", text},
		} {
			_ = r.SetVar("key", "value")
			if err := r.RunLine(t.Context(), line, nil, io.Discard); err != nil {
				t.Errorf("%q: %v", line, err)
			} else if words := got(); !slices.Equal(words, want) {
				t.Errorf("%q arrives as %q, want %q", line, words, want)
			}
		}
		for _, words := range [][]string{{"say", text}, {"print", "--", text}, {"map", "add", "key", text}, {"expect", "a", "1", text}} {
			err := r.Run(t.Context(), words, nil, io.Discard)
			if called := got(); err != nil || called[len(called)-1] != text {
				t.Errorf("words %q arrive as %q, %v", words, called, err)
			}
		}
	}
}

// wrapped puts a text between quotes that it does not have, or leaves it.
func wrapped(text string) string {
	for _, quote := range []string{`'`, `"`} {
		if !strings.Contains(text, quote) && (quote == `'` || !strings.Contains(text, "$")) {
			return quote + text + quote
		}
	}
	return text
}

func TestTextAndItsFlags(t *testing.T) {
	r, got := texts(t)
	_ = r.SetVar("name", "the  value")
	for line, want := range map[string]string{
		"say 'before the split' \t\r\n": "say|before the split",
		"say 'before the split'":        "say|before the split",
		`say "it's"`:                    "say|it's",
		"say ''":                        "say|",
		"say to $name, ${name}x":        "say|to the  value, the  valuex",
		`say "to $name"`:                "say|to the  value",
		"say 'to $name'":                "say|to $name",
		`say \$name`:                    `say|\the  value`,
		"say '-wait'":                   "say|-wait",
		"say -wait":                     "too few arguments",
		"say -- -wait":                  "say|-wait",
		"say -wiat x":                   "unknown flag -wiat: did you mean -wait?",
		"say --tims 3 x":                "unknown flag -tims: did you mean -times?",
		"say -wait=perhaps x":           "invalid boolean value",
		"say -times":                    "flag needs an argument",
		"say -help me":                  "",
		"print":                         "print",
		"print -n text":                 "print|-n text",
		"map add":                       "too few arguments",
		"map add key":                   "too few arguments",
		"map add $unset text":           "variable unset is not set",
		"map add 'key text":             "unterminated quote",
		"look 'at":                      "unterminated quote",
		"look at # this":                "look|at|#|this",
		"fail | grep bob":               "as told; a peer's line has no pipes and redirections: write them outside of it, as in peer exec -- fail | sort",
		"say a | grep b":                "say|a | grep b",
		"look a | grep b":               "look|a|||grep|b",
		"look $unset":                   "variable unset is not set",
		"# say it's a comment":          "",
		"\t # say it's a comment":       "",
		"say " + strings.Repeat("x", command.MaxLine): "the limit is",
	} {
		err := r.RunLine(t.Context(), line, nil, io.Discard)
		found := strings.Join(got(), "|")
		if err != nil {
			found = err.Error()
		}
		if found != want && (err == nil || !strings.Contains(found, want)) {
			t.Errorf("%.60q: %q, want %q", line, found, want)
		}
	}
}

// Words that are cut already are not cut again.
func TestWordsAreNotCutAgain(t *testing.T) {
	r, got := texts(t)
	_ = r.SetVar("name", "value")
	for _, tc := range []struct{ words, want []string }{
		{[]string{"say", "it's", "fine"}, []string{"say", "it's fine"}},
		{[]string{"say", "'quoted'", "$name"}, []string{"say", "'quoted' $name"}},
		{[]string{"say", "'quoted'"}, []string{"say", "'quoted'"}},
		{[]string{"/say", "-wait", "-1", "is"}, []string{"say", "(true 1 false)", "-1 is"}},
		{[]string{"say", "-wait is a flag"}, []string{"say", "-wait is a flag"}},
		{[]string{"look", "# a", "'b", `\c`, "", "$name"}, []string{"look", "# a", "'b", `\c`, "", "$name"}},
	} {
		if err := r.Run(t.Context(), tc.words, nil, io.Discard); err != nil {
			t.Errorf("%q: %v", tc.words, err)
		} else if called := got(); !slices.Equal(called, tc.want) {
			t.Errorf("%q arrive as %q, want %q", tc.words, called, tc.want)
		}
	}
	if err := r.Run(t.Context(), nil, nil, io.Discard); err == nil {
		t.Error("no words are a line")
	}
}

// A line without a command is an argument of one, if somebody says so.
func TestOtherwise(t *testing.T) {
	r, got := texts(t)
	r.Otherwise = func(first string) ([]string, bool) { return []string{"say", "--"}, !strings.HasPrefix(first, "/") }
	for _, text := range verbatim {
		if strings.HasPrefix(text, "#") || strings.HasPrefix(text, "/") || strings.HasPrefix(text, "say") {
			continue
		}
		if err := r.RunLine(t.Context(), text, nil, io.Discard); err != nil {
			t.Errorf("%q: %v", text, err)
		} else if called := got(); !slices.Equal(called, []string{"say", text}) {
			t.Errorf("%q arrives as %q", text, called)
		}
	}
	if err := r.Run(t.Context(), []string{"it's", "fine"}, nil, io.Discard); err != nil || !slices.Equal(got(), []string{"say", "it's fine"}) {
		t.Errorf("words: %v", err)
	}
	if err := r.RunLine(t.Context(), "/sya", nil, io.Discard); err == nil {
		t.Error("a line with a slash is a text")
	}
}

// Some editors begin a file with a byte order mark.
func TestByteOrderMark(t *testing.T) {
	r, got := texts(t)
	const mark = "\ufeff"
	for line, want := range map[string]string{"look at": "look|at", "say it's": "say|it's", "/look": "look", "# say no": "", "": "", "say a" + mark: "say|a" + mark} {
		if err := r.RunScript(t.Context(), "script", strings.NewReader(mark+line+"\n"), io.Discard, false); err != nil {
			t.Errorf("%q: %v", line, err)
		} else if words := strings.Join(got(), "|"); words != want {
			t.Errorf("%q arrives as %q, want %q", line, words, want)
		}
	}
	r.Otherwise = func(string) ([]string, bool) { return []string{"say", "--"}, true }
	if err := r.RunLine(t.Context(), mark+"hello you", nil, io.Discard); err != nil || !slices.Equal(got(), []string{"say", "hello you"}) {
		t.Errorf("a text: %v", err)
	}
}

// Typed has the first word on what a person types, and on nothing else.
func TestTyped(t *testing.T) {
	r, got := texts(t)
	r.Typed = func(first string) ([]string, bool) { return []string{"say", "--"}, !strings.HasPrefix(first, "/") }
	typed := command.WithCaller(t.Context(), command.Caller{Shell: "one"})
	for _, tc := range []struct {
		ctx        context.Context
		line, want string
	}{
		{typed, "look me up", "say|look me up"},
		{typed, "quit", "say|quit"},
		{typed, "#1 is done", "say|#1 is done"},
		{typed, "-wait", "say|-wait"},
		{typed, "  ", ""},
		{typed, "/look me", "look|me"},
		{typed, "/", ""},
		{t.Context(), "look me", "look|me"},
	} {
		if err := r.RunLine(tc.ctx, tc.line, nil, io.Discard); err != nil {
			t.Errorf("%q: %v", tc.line, err)
		} else if words := strings.Join(got(), "|"); words != tc.want {
			t.Errorf("%q arrives as %q, want %q", tc.line, words, tc.want)
		}
	}
	if err := r.RunScript(typed, "script", strings.NewReader("look me\n"), io.Discard, false); err != nil || !slices.Equal(got(), []string{"look", "me"}) {
		t.Errorf("a script: %v", err)
	}
}

// What is told of a line that ran can be typed again.
func TestAfter(t *testing.T) {
	r, got := texts(t)
	var told string
	r.After = func(line string, err error) { told = fmt.Sprint(line, " ", err) }
	for line, want := range map[string]string{
		"/say  -wait it's  fine": "say -wait it's  fine <nil>",
		"map add 'a b' it's":     "map add 'a b' it's <nil>",
		"look 'a b'":             "look 'a b' <nil>",
		"say -wiat x":            "say '-wiat x' say: unknown flag",
	} {
		_ = r.RunLine(t.Context(), line, nil, io.Discard)
		if got(); !strings.HasPrefix(told, want) {
			t.Errorf("%q: told %q, want %q", line, told, want)
		}
	}
}

func TestSubstitute(t *testing.T) {
	r, got := texts(t)
	values := map[string]string{"A": "a value", "Q": `it's "$x" \`, "E": "", "C": "say"}
	lookup := func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	for line, want := range map[string][]string{
		"say $A, $B it's $5":     {"say", "a value, $B it's $5"},
		"say '$A'":               {"say", "$A"},
		"say $Q":                 {"say", values["Q"]},
		"look $A x${A}y $E '$A'": {"look", "a value", "xa valuey", "", "$A"},
		`look "$Q" $Q`:           {"look", values["Q"], values["Q"]},
		"map add $A $A":          {"map add", "a value", "a value"},
		"$C $A":                  {"say", "a value"},
	} {
		made, err := r.Substitute(line, lookup)
		if err == nil {
			err = r.RunLine(t.Context(), made, nil, io.Discard)
		}
		if called := got(); err != nil || !slices.Equal(called, want) {
			t.Errorf("%q becomes %q and arrives as %q, %v; want %q", line, made, called, err, want)
		}
	}
	if made, err := r.Substitute("look $B '$A", lookup); err == nil || made != "look $B '$A" {
		t.Errorf("an open quote: %q, %v", made, err)
	}
	if made, err := r.Substitute("look $B", lookup); err != nil || made != "look $B" {
		t.Errorf("an unset variable: %q, %v", made, err)
	}
}

func TestTextIsNotCompleted(t *testing.T) {
	r, _ := texts(t)
	for line, want := range map[string]string{
		"say -":           "-format -times -wait",
		"say -wait -":     "-format -times -wait",
		"say -format ":    "json text",
		"say it -":        "",
		"say it -format ": "",
		"say -- -":        "",
		"say -wait it -t": "",
		"map add key -":   "",
		"expect view 1 -": "",
		"look at -":       "",
		"map ":            "add",
	} {
		if candidates, _ := r.Complete(line); strings.Join(candidates, " ") != want {
			t.Errorf("%q: %q, want %q", line, candidates, want)
		}
	}
}

// Whatever is written behind the name of a command with a text arrives.
func FuzzText(f *testing.F) {
	for _, text := range verbatim {
		f.Add(text)
	}
	f.Add("'quoted'")
	f.Add("-wait=x y")
	f.Add("\f")
	r, got := texts(f)
	r.Otherwise = func(first string) ([]string, bool) { return []string{"say", "--"}, !strings.HasPrefix(first, "/") }
	f.Fuzz(func(t *testing.T, text string) {
		err := r.RunLine(t.Context(), "print -- "+text, nil, io.Discard)
		called := got()
		want := strings.TrimLeft(strings.TrimRight(text, "\r\n"), " \t\r\n")
		whole := strings.TrimRight(want, " \t\r\n")
		switch {
		case err != nil:
			if len(text) < 60_000 && !strings.Contains(err.Error(), "NUL") && !strings.Contains(err.Error(), "UTF-8") {
				t.Errorf("%q: %v", text, err)
			}
		case want == "":
			if len(called) != 1 {
				t.Errorf("%q arrives as %q", text, called)
			}
		case len(called) != 2:
			t.Errorf("%q arrives as %q", text, called)
		case called[1] != want && "'"+called[1]+"'" != whole && `"`+called[1]+`"` != whole:
			t.Errorf("%q arrives as %q", text, called)
		}
		// No line at all makes it panic.
		_ = r.RunLine(t.Context(), text, nil, io.Discard)
		_ = r.RunLine(t.Context(), "say "+text, nil, io.Discard)
		r.Redact(text)
		r.Complete("say " + text)
		_, _ = r.Substitute(text, func(name string) (string, bool) { return name + `'" $`, len(name)%2 == 0 })
		got()
		if words := strings.Split(text, ","); err == nil {
			if again, err := command.Split(command.Join(words)); len(command.Join(words)) <= command.MaxLine && (err != nil || !slices.Equal(again, words)) {
				t.Errorf("%q come back as %q, %v", words, again, err)
			}
		}
	})
}
