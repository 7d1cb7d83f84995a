package command_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"

	"peerlab/internal/terminal"
	"peerlab/peer/command"
)

// registry returns a registry with one command of each kind.
func registry(t *testing.T) *command.Registry {
	t.Helper()
	echo := func(_ context.Context, c *command.Call) error {
		c.Printf("%s: %s\n", c.Name, strings.Join(c.Args, "|"))
		return nil
	}
	r := &command.Registry{}
	err := r.Add(
		command.Command{
			Name: "say", Group: "talk", Usage: "TEXT...", Short: "say something", MinArgs: 1, MaxArgs: -1, Text: true,
			Flags: func(fs *flag.FlagSet) command.Func {
				loud := fs.Bool("loud", false, "shout")
				return func(ctx context.Context, c *command.Call) error {
					if *loud {
						c.Args = append(c.Args, "!")
					}
					return echo(ctx, c)
				}
			},
		},
		command.Command{Name: "room join", Aliases: []string{"roomjoin"}, Group: "talk", Short: "enter", Example: "room join", Run: echo},
		command.Command{Name: "room leave", Group: "talk", Short: "go", Run: echo},
		command.Command{
			Name: "list", Group: "look", Usage: "[NAME]", Short: "show names", MaxArgs: 1, Data: true,
			Complete: func([]string, string) []string { return []string{"alice", "bob"} },
			Flags: func(fs *flag.FlagSet) command.Func {
				n := fs.Int("n", 0, "how `many`")
				return func(_ context.Context, c *command.Call) error {
					return c.Show(map[string]any{"n": *n, "args": c.Args, "text": "\u009b"}, func() {
						c.Table([]string{"NAME", "N"}, [][]string{{"al\x1bice", "1"}, {"b", "22"}})
					})
				}
			},
		},
		command.Command{Name: "fail", Group: "look", Short: "fail", Run: func(context.Context, *command.Call) error { return errors.New("as told") }},
	)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRun(t *testing.T) {
	r := registry(t)
	for _, tc := range []struct{ line, out, err string }{
		{"", "", ""},
		{"say hello there", "say: hello there\n", ""},
		{"/say hello", "say: hello\n", ""},
		{"say -loud hello -loud", "say: hello -loud|!\n", ""},
		{"say --loud=false -- -loud", "say: -loud\n", ""},
		{"room join", "room join: \n", ""},
		{"roomjoin", "room join: \n", ""},
		{"list", "NAME    N\nal�ice  1\nb       22\n", ""},
		{"list bob -n 2 -format json", "{\n  \"args\": [\n    \"bob\"\n  ],\n  \"n\": 2,\n  \"text\": \"\\u009b\"\n}\n", ""},
		{"fail", "", "as told"},
		{"say", "", "too few arguments; usage: say [-loud] TEXT..."},
		{"list a b", "", `unexpected argument "b"; usage: list [-format TEXT] [-n MANY] [NAME]`},
		{"list -n x", "", "usage: list"},
		{"list -what", "", "flag provided but not defined: -what; usage: list"},
		{"list -format xml", "", `unknown format "xml"`},
		{"room", "", "room needs one of: join, leave"},
		{"room dance", "", "room has join, leave"},
		{"lst", "", `unknown command "lst": did you mean list?`},
		{"xyzzy", "", "type help for a list"},
		{"say 'x", "say: 'x\n", ""},
		{"say -lod x", "", "say: unknown flag -lod: did you mean -loud? Write --"},
		{"list 'x", "", "unterminated quote"},
		{"fail # x", "", `unexpected argument "#"`},
	} {
		var out bytes.Buffer
		err := r.RunLine(t.Context(), tc.line, nil, &out)
		if out.String() != tc.out {
			t.Errorf("%q printed %q, want %q", tc.line, out.String(), tc.out)
		}
		if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%q failed with %v, want %q", tc.line, err, tc.err)
		}
	}
}

func TestColor(t *testing.T) {
	r := &command.Registry{}
	if err := r.Add(command.Command{Name: "show", Run: func(_ context.Context, c *command.Call) error {
		c.Table([]string{"NAME", "STATE", "N"}, [][]string{{"grün", "alive", "1"}, {"\x1b[31mb", "dead", "2"}})
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		ctx  context.Context
		want string
	}{
		{t.Context(), "NAME    STATE  N\ngrün    alive  1\n�[31mb  dead   2\n"},
		{
			command.WithCaller(t.Context(), command.Caller{Color: true}),
			"\x1b[1mNAME\x1b[0m    \x1b[1mSTATE\x1b[0m  \x1b[1mN\x1b[0m\ngrün    \x1b[32malive\x1b[0m  1\n�[31mb  \x1b[31mdead\x1b[0m   2\n",
		},
	} {
		var out bytes.Buffer
		if err := r.RunLine(tc.ctx, "show", nil, &out); err != nil || out.String() != tc.want {
			t.Errorf("%v: got\n%q\nwant\n%q", err, out.String(), tc.want)
		}
	}
}

func TestAddRefuses(t *testing.T) {
	run := func(context.Context, *command.Call) error { return nil }
	for want, c := range map[string]command.Command{
		"is taken":             {Name: "roomjoin", Run: run},
		"plain words":          {Name: "two  blanks", Run: run},
		"exactly one of":       {Name: "nothing"},
		`command "": the name`: {Name: "", Run: run},
	} {
		if err := registry(t).Add(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Add(%+v): %v, want %q", c.Name, err, want)
		}
	}
}

func TestComplete(t *testing.T) {
	r := registry(t)
	for _, tc := range []struct {
		line string
		want []string
		word string
	}{
		{"", []string{"fail", "list", "room", "say"}, ""},
		{"l", []string{"list"}, "l"},
		{"/l", []string{"list"}, "l"},
		{"room ", []string{"join", "leave"}, ""},
		{"room l", []string{"leave"}, "l"},
		{"list ", []string{"alice", "bob"}, ""},
		{"list b", []string{"bob"}, "b"},
		{"list -", []string{"-format", "-n"}, "-"},
		{"list -format ", []string{"json", "text"}, ""},
		{"xyzzy ", nil, ""},
		{"roomj", []string{"roomjoin"}, "roomj"}, // an older name, where no other fits
		{"/roomj", []string{"roomjoin"}, "roomj"},
		{"room", []string{"room"}, "room"},
	} {
		got, word := r.Complete(tc.line)
		if !slices.Equal(got, tc.want) || word != tc.word {
			t.Errorf("Complete(%q) = %q, %q, want %q, %q", tc.line, got, word, tc.want, tc.word)
		}
	}
}

func TestHelp(t *testing.T) {
	r := registry(t)
	for _, tc := range []struct{ words, want string }{
		{"", "talk\n  say TEXT..."},
		{"", "look\n  list [NAME]"},
		{"look", "  fail         fail"},
		{"list", "usage: list [-format TEXT] [-n MANY] [NAME]\n"},
		{"room join", "also: roomjoin\n\nexample: room join\n"},
	} {
		got, err := r.Help(strings.Fields(tc.words), 0)
		if err != nil || !strings.Contains(got, tc.want) {
			t.Errorf("help %s: %v\n%s\nwant %q", tc.words, err, got, tc.want)
		}
	}
	if _, err := r.Help([]string{"lsit"}, 0); !errors.Is(err, command.ErrUnknown) {
		t.Errorf("error %v", err)
	}
}

func FuzzComplete(f *testing.F) {
	f.Add("list -")
	f.Add("room j")
	f.Fuzz(func(t *testing.T, line string) {
		r := registry(t)
		got, word := r.Complete(line)
		for _, c := range got {
			if !strings.HasPrefix(c, word) {
				t.Errorf("Complete(%q) offers %q for %q", line, c, word)
			}
		}
	})
}

// Help and tables fit the terminal: what is long wraps inside its column.
func TestColumns(t *testing.T) {
	r := &command.Registry{}
	long := strings.TrimSpace(strings.Repeat("words that go on ", 12))
	if err := r.Add(
		command.Command{
			Name: "say", Usage: "TEXT...", Group: "talk", Short: long, Long: long + "\nand on\n\n  as it is", MaxArgs: -1, Data: true,
			Flags: func(fs *flag.FlagSet) command.Func {
				fs.Int("times", 1, "how `many`, "+long)
				return func(_ context.Context, c *command.Call) error {
					c.Table([]string{"NAME", "TEXT", "STATE"}, [][]string{{"alice", long, "alive"}, {"b", "日本語 " + long, "dead"}})
					return nil
				}
			},
		},
		command.Command{Name: "help", MaxArgs: -1, Run: func(_ context.Context, c *command.Call) error {
			text, err := r.Help(c.Args, c.Columns)
			c.Printf("%s", text)
			return err
		}},
	); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		line           string
		columns, limit int
	}{
		{"help", 0, 80},
		{"help", 40, 40},
		{"help", 300, 100},
		{"help say", 50, 50},
		{"say -help", 50, 50},
		{"say", 60, 60},
		{"say", 0, 1000},
	} {
		var out bytes.Buffer
		ctx := command.WithCaller(t.Context(), command.Caller{Columns: tc.columns})
		if err := r.RunLine(ctx, tc.line, nil, &out); err != nil {
			t.Fatal(err)
		}
		widest := 0
		for line := range strings.Lines(out.String()) {
			widest = max(widest, terminal.Width(strings.TrimSuffix(line, "\n")))
		}
		if widest > tc.limit || widest < tc.limit*3/5 && tc.columns > 0 {
			t.Errorf("%s in %d columns: the widest line has %d\n%s", tc.line, tc.columns, widest, &out)
		}
		words := strings.Count(strings.Join(strings.Fields(out.String()), " "), "words")
		if want := 12; words < want {
			t.Errorf("%s in %d columns: %d of %d words are left\n%s", tc.line, tc.columns, words, want, &out)
		}
	}
	var out bytes.Buffer
	ctx := command.WithCaller(t.Context(), command.Caller{Columns: 40})
	if err := r.RunLine(ctx, "say", nil, &out); err != nil || !strings.HasPrefix(out.String(),
		"NAME   TEXT                        STATE\nalice  words that go on words      alive\n       that go on") {
		t.Errorf("%v\n%s", err, &out)
	}
}

// A flag whose value can be left out is written as everybody writes it.
func TestOptionalValue(t *testing.T) {
	r := &command.Registry{}
	if err := r.Add(command.Command{Name: "say", Flags: func(fs *flag.FlagSet) command.Func {
		fs.Bool("wait", false, "wait, up to `=DURATION`")
		return func(context.Context, *command.Call) error { return nil }
	}}); err != nil {
		t.Fatal(err)
	}
	text, err := r.Help([]string{"say"}, 80)
	if err != nil || !strings.Contains(text, "usage: say [-wait[=DURATION]]\n") || !strings.Contains(text, "  -wait[=DURATION]  wait,") {
		t.Errorf("%v\n%s", err, text)
	}
}

// Old names work, are completed where nothing else is, and give way.
func TestOldNames(t *testing.T) {
	r := registry(t)
	run := func(_ context.Context, c *command.Call) error {
		c.Printf("%s\n", c.Name)
		return nil
	}
	if err := r.Add(command.Command{Name: "room ping", OldNames: []string{"ping", "roomping"}, Run: run}); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{"roomj": "roomjoin", "roomp": "roomping", "pi": "ping", "roo": "room", "room p": "ping"} {
		if got, _ := r.Complete(line); strings.Join(got, " ") != want {
			t.Errorf("Complete(%q) = %q, want %q", line, got, want)
		}
	}
	var out bytes.Buffer
	if err := r.RunLine(t.Context(), "ping", nil, &out); err != nil || out.String() != "room ping\n" {
		t.Errorf("ping: %q, %v", &out, err)
	}
	if err := r.Add(command.Command{Name: "ping", Run: run}); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := r.RunLine(t.Context(), "ping", nil, &out); err != nil || out.String() != "ping\n" {
		t.Errorf("ping of one's own: %q, %v", &out, err)
	}
}

func TestCompleteVariables(t *testing.T) {
	r := registry(t)
	_, _ = r.SetVar("greeting", "hi"), r.SetVar("gruss", "hallo")
	for line, want := range map[string]string{"say $": "$greeting $gruss", "say it is $gre": "$greeting", "say $x": ""} {
		if got, _ := r.Complete(line); strings.Join(got, " ") != want {
			t.Errorf("Complete(%q) = %q, want %q", line, got, want)
		}
	}
}
