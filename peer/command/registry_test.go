package command_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"

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

func TestColour(t *testing.T) {
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
			command.WithColour(t.Context()),
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
		got, err := r.Help(strings.Fields(tc.words))
		if err != nil || !strings.Contains(got, tc.want) {
			t.Errorf("help %s: %v\n%s\nwant %q", tc.words, err, got, tc.want)
		}
	}
	if _, err := r.Help([]string{"lsit"}); !errors.Is(err, command.ErrUnknown) {
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
