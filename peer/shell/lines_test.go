//go:build linux

package shell

import (
	"slices"
	"strings"
	"testing"

	"peerlab/event"
	"peerlab/terminal"
)

func TestLines(t *testing.T) {
	p, w := attach(t, Options{})
	w.keys("echo hello\r")
	w.shows("alice> echo hello", "hello", "alice> ▏")
	w.keys("\r   \r# a comment\r")
	w.ends("alice>", "alice>", "alice> # a comment", "alice> ▏")
	w.keys("/echo 'a slash'\r")
	w.ends("a slash", "alice> ▏")
	w.keys("fail\r")
	w.ends("alice> fail", "error: it failed \ufffd[2J", "alice> ▏")
	w.keys("exho\r")
	w.ends(`error: unknown command "exho": did you mean echo?`, "alice> ▏")
	w.keys("rtt 'open\r")
	w.await("the parser's error", func(s string) bool { return strings.Contains(s, "error: unterminated quote") })
	w.keys("rtt a b cccccccccc\r")
	w.ends(`error: rtt: unexpected argument "cccccccccc"; usage: rtt [-count INT]`, "[-verbose]", "alice> ▏")
	w.keys("panic\r")
	w.ends("error: internal error: by intent", "alice> ▏")
	w.keys("note still there\r")
	if line := receive(t, p.lines, "line"); line != "still there" {
		t.Errorf("the peer got %q", line)
	}
}

// The prompt must not wipe output that does not end its line.
func TestOutputWithoutLineEnd(t *testing.T) {
	_, w := attach(t, Options{})
	w.keys("raw half a line\r")
	w.shows("alice> raw half a line", "half a line", "alice> ▏")
}

func TestOutputIsCleaned(t *testing.T) {
	_, w := attach(t, Options{})
	w.keys("evil\r")
	w.shows("alice> evil", "a\ufffd[2Jb\ufffd2Jc", "alice> ▏")
}

func TestEditing(t *testing.T) {
	p, w := attach(t, Options{})
	for _, tc := range []struct{ name, keys, want string }{
		{"left and insert", "note ac" + left + "b", "abc"},
		{"application mode arrows", "note ac" + "\x1bOD" + "b", "abc"},
		{"Home and End", ctrlA + "\x1b[Hnote " + ctrlE + "x" + "\x1b[4~" + "y", "xy"},
		{"words", "note one two" + "\x1b[1;5D" + "\x1bb" + "zero ", "zero one two"},
		{"Delete key", "note axb" + left + left + deleteKey, "ab"},
		{"Delete key on an empty line", deleteKey + deleteKey + "note a", "a"},
		{"Ctrl-D within a line", "note xa" + left + left + ctrlD, "a"},
		{"kill and yank", "note ab\x15\x19", "ab"},
		{"unknown keys", "note a\x00\x1a\x14\x1b[15~\x1bOP\x1b[200;5u\x1bxb", "ab"},
		{"an accent goes with its letter", "note ae\u0301b" + left + left + "X", "aXe\u0301b"},
		{"an emoji of several parts is one", "note a👩\u200d👩\u200d👧b" + left + left + "X" + right + "Y", "aX👩\u200d👩\u200d👧Yb"},
		{"Backspace takes the accent, too", "note ae\u0301b" + left + "\x7f", "ab"},
		{"Delete takes the accent, too", "note ae\u0301b" + left + left + deleteKey, "ab"},
		{"Backspace at the beginning", "note ab" + ctrlA + "\x7f", "ab"},
		{"wide characters", "note 日本語" + left + left + "€", "日€本語"},
		{"not UTF-8", "note a\xffb", "a\ufffdb"},
		{"bidi override", "note a\u202eb", "ab"},
		{"escape, then a letter apart", "note a\x1b", "a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.t = t
			w.keys(tc.keys + "\r")
			if got := receive(t, p.lines, "line"); got != tc.want {
				t.Errorf("%q gave %q, want %q", tc.keys, got, tc.want)
			}
		})
	}
}

func TestCompletion(t *testing.T) {
	_, w := attach(t, Options{})
	for _, tc := range []struct {
		name, keys string
		want       []string // the end of the screen
	}{
		{"command", "ech\t", []string{"alice> echo ▏"}},
		{"leading slash", "/ech\t", []string{"alice> /echo ▏"}},
		{"common prefix", "ch\t", []string{"alice> chat ▏"}},
		{"subcommands are listed above", "chat \t", []string{"join   leave", "alice> chat ▏"}},
		{"subcommand", "chat j\t", []string{"alice> chat join ▏"}},
		{"flag", "rtt -v\t", []string{"alice> rtt -verbose ▏"}},
		{"peers, but none that would act on the terminal", "rtt \t", []string{"bert   bob    carol", "alice> rtt ▏"}},
		{"peer", "rtt bo\t", []string{"alice> rtt bob ▏"}},
		{"common prefix of peers", "rtt b\t", []string{"bert  bob", "alice> rtt b▏"}},
		{"the shell's own", "hist\t", []string{"alice> history ▏"}},
		{"help for the shell's own", "help cle\t", []string{"alice> help clear ▏"}},
		{"nothing", "nothing\t", []string{"alice> nothing▏"}},
		{"in the middle", "ec ab" + left + left + left + "\t", []string{"alice> echo ▏ ab"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.t = t
			w.keys(tc.keys)
			w.ends(tc.want...)
			w.keys(ctrlC + ctrlL)
			w.shows("alice> ▏")
		})
	}
}

// Who is used to type two TABs sees one list.
func TestSecondTab(t *testing.T) {
	_, w := attach(t, Options{})
	w.keys("chat \t\tx")
	w.shows("join   leave", "alice> chat x▏")
	w.keys("\x7f\t")
	w.shows("join   leave", "join   leave", "alice> chat ▏")
}

func TestHelpAndClear(t *testing.T) {
	_, w := attach(t, Options{})
	w.keys("clear\r")
	w.shows("alice> ▏")
	w.keys("help\r")
	w.ends("shell", "  exit         leave the shell, as Ctrl-D does",
		"  history [N]  show what was typed, or the last N lines of it",
		"  clear        clear the screen, as Ctrl-L does", "alice> ▏")
	w.keys("help history\r")
	w.ends("show what was typed, or the last N lines of it", "", "usage: history [N]", "alice> ▏")
	w.keys("help echo\r")
	w.ends("show TEXT", "", "usage: echo", "alice> ▏")
	w.keys("exit now\r")
	w.ends("error: exit takes no argument: the shell has no status of its own", "alice> ▏")
	w.keys("clear all\r")
	w.ends("error: clear takes no argument", "alice> ▏")
}

func TestTwoShellsOnOnePeer(t *testing.T) {
	p, one := attach(t, Options{})
	two := open(t, Options{Peer: p.attach(t)})
	two.shows("alice> ▏")
	one.keys("wait\r")
	receive(t, p.running, "start of the command")
	one.ends("waiting", "▏")
	two.keys("echo two\r")
	two.ends("two", "alice> ▏")
	p.log.Emit(event.Event{Kind: event.ChatDelivered, Member: "bob", Text: "hi"})
	one.ends("<bob> hi", "▏")
	two.ends("<bob> hi", "alice> ▏")
	two.keys(ctrlD)
	if err := two.result(); err != nil {
		t.Error(err)
	}
	one.keys(ctrlC + "echo one\r")
	one.ends("one", "alice> ▏")
}

// What is said in one shell, or by a program, is seen in the others.
func TestShellsSeeEachOther(t *testing.T) {
	p := newPeer(t).serve(t)
	one := open(t, Options{Peer: p.attach(t), Greeting: "alice of x, 2 members"})
	one.shows("alice of x, 2 members", "alice> ▏")
	two := open(t, Options{Peer: p.attach(t)})
	two.shows("alice> ▏")
	one.keys("msg hello\r")
	two.ends("<alice> hello", "alice> ▏")
	two.keys("msg and you\r")
	one.ends("alice of x, 2 members", "alice> msg hello", "<alice> and you", "alice> ▏")
	p.log.Emit(event.Event{Kind: event.ChatSent, Text: "by a program"})
	one.ends("<alice> by a program", "alice> ▏")
	two.ends("<alice> hello", "alice> msg and you", "<alice> by a program", "alice> ▏")
}

// Where lines are texts, the shell's own commands begin with a slash, too.
func TestTextsInAShell(t *testing.T) {
	p := newPeer(t)
	p.registry.Typed = func(first string) ([]string, bool) { return []string{"note", "--"}, !strings.HasPrefix(first, "/") }
	p.serve(t)
	for name, peer := range map[string]Peer{"attached": p.attach(t), "local": Local("alice", &p.registry, p.log)} {
		t.Run(name, func(t *testing.T) {
			w := open(t, Options{Peer: peer})
			w.shows("alice> ▏")
			for _, text := range []string{"exit", "history", "echo hello", "help"} {
				w.keys(text + "\r")
				if line := receive(t, p.lines, "line"); line != text {
					t.Errorf("said %q, want %q", line, text)
				}
			}
			w.keys("/echo hello\r")
			w.ends("alice> help", "alice> /echo hello", "hello", "alice> ▏")
			w.keys("/exit\r")
			if err := w.result(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestColumns(t *testing.T) {
	for _, tc := range []struct {
		words []string
		width int
		want  string
	}{
		{[]string{"a", "b", "c"}, 80, "a  b  c\n"},
		{[]string{"one", "two", "three", "four"}, 16, "one    three\ntwo    four\n"},
		{[]string{"one", "two"}, 3, "one\ntwo\n"},
		{[]string{"日本", "x"}, 0, "日本\nx\n"},
		{[]string{"日本", "x", "ab", "cd"}, 14, "日本  ab\nx     cd\n"},
	} {
		if got := columns(tc.words, tc.width); got != tc.want {
			t.Errorf("%q in %d: %q, want %q", tc.words, tc.width, got, tc.want)
		}
	}
	if got := columns(strings.Fields(strings.Repeat("x ", maxCandidates+7)), 80); !strings.HasSuffix(got, "… and 7 more\n") {
		t.Errorf("too many: …%q", got[len(got)-20:])
	}
}

func TestEscape(t *testing.T) {
	if got, want := escape(`a b'c"d\e`), `a\ b\'c\"d\\e`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOutputKeepsCharactersWhole(t *testing.T) {
	var shown []string
	o := terminal.NewWriter(writerFunc(func(s string) error {
		shown = append(shown, s)
		return nil
	}))
	for _, part := range []string{"a\xe2", "\x82\xac", "b\x1b", "[2J\xff", "\xf0\x9f"} {
		if n, err := o.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("Write: %d, %v", n, err)
		}
	}
	_ = o.Flush()
	if want := []string{"a", "€", "b", "\ufffd[2J\ufffd", "\ufffd\ufffd"}; !slices.Equal(shown, want) {
		t.Errorf("shown %q, want %q", shown, want)
	}
}

func TestLocal(t *testing.T) {
	p := newPeer(t)
	w := open(t, Options{Peer: Local("alice", &p.registry, p.log)})
	w.shows("alice> ▏")
	w.keys("echo hi\rpanic\r")
	w.ends("hi", "alice> panic", "error: internal error: by intent", "alice> ▏")
	w.keys("rtt bo\t")
	w.ends("alice> rtt bob ▏")
	p.log.Emit(event.Event{Kind: event.ChatJoin, Member: "bob"})
	w.ends("<joined> bob has joined", "alice> rtt bob ▏")
	w.keys(ctrlC)
	w.ends("alice> rtt bob ^C", "alice> ▏")
	w.keys("wait\r")
	receive(t, p.running, "start of the command")
	w.keys(ctrlC)
	w.ends("^C", "alice> ▏")
	w.keys(ctrlC)
	w.ends("Ctrl-D or exit leaves the shell and stops the peer", "alice> ▏")
	p.log.Close()
	if err := w.result(); err == nil || err.Error() != "peer alice is gone" {
		t.Errorf("the shell ended with %v", err)
	}
}
