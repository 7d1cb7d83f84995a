package peer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peerlab/event"
	"peerlab/peer"
	chatapp "peerlab/peer/chat/app"
)

// bare starts a peer that does nothing by itself.
func bare(t *testing.T, name string, s *service) *running {
	t.Helper()
	c := config(name, s)
	c.Bare = true
	c.AllowShell = true
	p := start(t, c)
	p.awaitKind(event.PeerStarted, "")
	return p
}

// Every command of the existing shell, by its old name, on a live cluster: the
// rows of COMMANDS.md in the order in which a peer comes up and goes.
func TestEveryOldCommand(t *testing.T) {
	s := startService(t, 3)
	cluster(t, s, "bob", "charly")
	alice := bare(t, "alice", s)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(file("script"), []byte("# a comment\n\necho from $where # $nothing\n/localnode\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var after uint64
	for _, row := range []struct {
		line string
		want string // in the output, or after ! in the error
	}{
		{"help", "membership configure"},
		{"help groups", "bootstrap\n"},
		{"help groups chat", "msg TEXT..."},
		{"help bootstrapjoin", "usage: bootstrap join"},
		{"help groups nothing", "!no group"},
		{"/echo slashes are fine", "slashes are fine"},

		// Each step says what is missing when the order is wrong.
		{"memberlistcreate", "!membership configure first"},
		{"memberlistjoin", "!membership create first"},
		{"memberliststart", "!membership create first"},
		{"bootstrapjoin", "!membership create first"},
		{"chatstart", "!membership create first"},
		{"broadcastadd k v", "!membership create first"},
		{"msg hello", "!chat join first"},
		{"showconfig", "!membership configure first"},
		{"bootstraplistlocal", "!bootstrap join first"},
		{"memberlist", "!membership create first"},

		// The service can be asked before anything else is up.
		{"bootstrap", "2 peers of at most 3"},
		{"bootstrapconfig", "MAXPEERS"},
		{"bootstrappeers", "bob"},

		{"memberlistconfigure BindPort 0", "configured"},
		{"memberlistconfigure BindPort x", "!no number"},
		{"showconfig", "SuspicionMult"},
		{"saveconfig " + file("conf.json"), "saved to"},
		{"config set SuspicionMult=9", ""},
		{"showconfig -format json", `"SuspicionMult": 9`},
		{"loadconfig " + file("conf.json"), "loaded"},
		{"showconfig -format json", `"SuspicionMult": 3`},
		{"loadconfig " + file("nothing.json"), "!no such file"},

		{"memberlistcreate", "created at 127.0.0.1:"},
		{"memberlistcreate", "!created already"},
		{"localnode", "alice"},
		{"memberlist", "alive"},
		{"showmemberlist", "1 online"},
		{"memberlisthealthscore", "score 0"},
		{"memberlistjoin", "!bootstrap join first"},
		{"broadcastadd k v", "!membership start first"},
		{"bootstrapjoin", "alice"},
		{"bootstraplistlocal", "charly"},
		{"memberliststart", "gossiped"},
		{"memberlistjoin", "3 online"},
		{"memberlist -status alive", "bob"},
		{"chatstart", "in the chat"},
		{"chatstart", "!joined already"},
		{"memberlistupdate", "advertised again"},
		{"memberlistupdate 2", "advertised again"},
		{"memberlistupdate soon", "!no time"},

		{"broadcastadd motd hello there", ""},
		{"broadcastlist", "hello there"},
		{"broadcastdel motd", ""},
		{"broadcastdel motd", "!motd"},

		{"testrun", "0 commands, 0 filters"},
		{"testsummary", "alice\n"},
		{"testreset mine", ""},
		{"testfilter messagesView 1 <alice> hello", ""},
		{"testrun", "1 command, 1 filter"},
		{"testfilter otherView 1 x", "!there is messagesView"},
		{"testfilter messagesView many x", "!no number"},
		{"msg hello", ""},
		{"testlocalfilters", "yes"},
		{"testfilter messagesView 2 <alice>", ""},
		{"testlocalfilters", "no"},
		{"testfilters", "alice"},
		{"testrun", `"mine"`},
		{"testsummaryprepare", ""},
		{"testsummary", "Summary of \"mine\" ("},
		{"testsummary", "event messagesView \"<alice> hello\": 1 of 1"},
		{"testreset", ""},
		{"testlocalfilters -format json", "[]"},

		{"set where a script", ""},
		{"set", "a script"},
		{"execute " + file("script"), "from a script # $nothing\nNAME"},
		{"sleep 0.01", ""},
		{"sleep -1", "!usage: sleep"},
		{"sleep soon", "!no time"},
		{"echo -n is text", "-n is text"},
		{"echo $nothing", "$nothing"},
		{"members $nothing", "!variable nothing is not set"},
		{"echo it costs $5 and '$nothing'", "it costs $5 and '$nothing'"},
		{"echo -- 'it is $where'", "it is $where"},
		{"unset where", ""},
		{"shell echo from outside", "from outside"},
		{"shell /nowhere/program", "!shell: /nowhere/program"},
		{"play with it", "play with it"},

		{"log on " + file("log"), file("log")},
		{"log level debug membership", ""},
		{"log level", "debug"},
		{"log level loud", "!debug, info, warn or error"},
		{"log level info everything", "!unknown layer"},
		{"init", "everything is up"},
		{"chatleave", "left the chat"},
		{"chatleave", "!chat join first"},
		{"chatstart", "in the chat"},
		{"chatstop", "stopped the chat"},
		{"init", "up at"},
		{"log off", ""},
		{"log off", "!"},
		{"bootstrapleave", "2 peers"},
		{"bootstraprefill", "3 peers"},
		{"bootstrapreset", "0 peers"},

		{"info", "joined"},
		{"memberlistleave 2", "left"},
		{"memberlistjoin", "!cannot rejoin"},
		{"memberlistdelete", "!membership shutdown first"},
		{"memberlistshutdown", "shut down"},
		{"memberlistjoin", "!is shut down"},
		{"memberlistdelete", "deleted"},
		{"memberlist", "!membership create first"},
		{"memberlistconfigure", "configured"},
		{"memberlistcreate", "created"},
		{"memberlistshutdowntransport", "the transport is shut down"},
		{"memberlistshutdown", "shut down"},
		{"memberlistdelete", "deleted"},
	} {
		out, err := alice.exec(row.line)
		if want, fails := strings.CutPrefix(row.want, "!"); fails {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: error %v, want one line with %q", row.line, err, want)
			}
		} else if err != nil || !strings.Contains(out, row.want) {
			t.Errorf("%s: %v\n%s\nwant %q", row.line, err, out, row.want)
		}
		switch row.want {
		case "in the chat", "up at": // the chat's commands need company
			alice.await(after, "bob in the chat", func(e event.Event) bool {
				return e.Kind == event.ChatJoin && e.Member == "bob"
			})
			for _, line := range []string{"chatmembers", "chatping", "chatmemberping bob", "chat history"} {
				if out, err := alice.exec(line); err != nil || !strings.Contains(out, "bob") {
					t.Errorf("%s: %v\n%s", line, err, out)
				}
			}
			after = alice.Events().Last()
		}
		if t.Failed() {
			break
		}
	}
	if log, err := os.ReadFile(file("log")); err != nil || !strings.Contains(string(log), "level=") {
		t.Errorf("the log file: %v, %q", err, log)
	}
}

func TestQuitLeavesAndExitDoesNot(t *testing.T) {
	s := startService(t, 3)
	peers := cluster(t, s, "alice", "bob", "charly")
	peers[1].mustExec("quit")
	<-peers[1].done
	peers[0].awaitKind(event.MemberLeft, "bob")
	peers[2].mustExec("exit")
	<-peers[2].done
	peers[0].awaitKind(event.MemberDead, "charly")
	if _, listed := s.list(t)["charly"]; listed {
		t.Error("charly is listed by name")
	}
}

// A word of one peer reaches the others' view of its expectations.
func TestExpectationsAreShared(t *testing.T) {
	s := startService(t, 3)
	peers := cluster(t, s, "alice", "bob")
	peers[1].mustExec("testfilter messagesView 1 <alice> hello")
	peers[0].mustExec("msg -wait hello")
	deadline := peers[0]
	for {
		out := deadline.mustExec("testfilters")
		if strings.Contains(out, "bob") && strings.Contains(out, "yes") {
			break
		}
		if t.Context().Err() != nil {
			t.Fatalf("alice does not hear of bob's expectation:\n%s", out)
		}
		deadline.mustExec("sleep 0.02")
	}
}

func TestScripts(t *testing.T) {
	p := start(t, config("p", nil))
	p.awaitKind(event.PeerReady, "")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	self := write("self", "echo again\nexecute "+filepath.Join(dir, "self")+"\n")
	wrong := write("wrong", "echo one\nnonsense\necho two\n")
	long := write("long", "echo "+strings.Repeat("x", 70_000)+"\n")
	big := write("big", strings.Repeat("#", 2<<20))
	for _, tc := range []struct{ line, out, err string }{
		{"execute " + wrong, "one\n", "wrong:2: unknown command"},
		{"execute -k " + wrong, "two\n", "1 of 3 lines failed"},
		{"execute " + self, "again\n", "executes itself"},
		{"execute " + long, "", "line is too long"},
		{"execute " + big, "", "is too long: the limit is 1048576"},
		{"execute " + dir, "", "is a directory"},
		{"execute /nowhere", "", "no such file"},
		{"execute -", "", "there is no standard input"},
		{"shell date", "", "--allow-shell"},
		{"set 5x y", "", "letters, digits"},
		{"set x", "", "write set NAME VALUE"},
		{"unset x", "", "not set"},
	} {
		out, err := p.exec(tc.line)
		if err == nil || !strings.Contains(err.Error(), tc.err) || !strings.Contains(out, tc.out) {
			t.Errorf("%s: %q, %v, want %q, %q", tc.line, out, err, tc.out, tc.err)
		}
	}
	// Every line that begins with no command is a message, while asked for.
	p.mustExec("set chatmode on")
	p.mustExec("don't panic, it's a message")
	p.await(0, "the message", func(e event.Event) bool {
		return e.Kind == event.ChatSent && e.Text == "don't panic, it's a message"
	})
	if out := p.mustExec("members"); !strings.Contains(out, "alive") {
		t.Error("commands are messages too")
	}
	p.mustExec("unset chatmode")
	if _, err := p.exec("nonsense"); err == nil {
		t.Error("chatmode goes on")
	}
}

func TestKeysAndTags(t *testing.T) {
	s := startService(t, 3)
	peers := cluster(t, s, "alice", "bob")
	alice, bob := peers[0], peers[1]
	alice.mustExec("tags role=db zone=a")
	bob.awaitKind(event.MemberUpdate, "alice")
	if out := bob.mustExec("members -format json alice"); !strings.Contains(out, `"role": "db"`) {
		t.Errorf("bob sees %s", out)
	}
	alice.mustExec("tags role=")
	if out := alice.mustExec("tags"); strings.Contains(out, "role") || !strings.Contains(out, "zone") {
		t.Error(out)
	}
	for line, want := range map[string]string{
		"tags role":                          "write NAME=VALUE",
		"tags chat=x":                        "announced",
		"tags x=" + strings.Repeat("y", 600): "carries 512",
		"keys install short":                 "16, 24 or 32",
		"keys install -":                     "there is no standard input",
		"keys use 00000000":                  "",
		"rtt alice nobody":                   `knows no "nobody"`,
		"reachability nobody":                `knows no "nobody"`,
	} {
		if _, err := alice.exec(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	for _, p := range peers {
		p.mustExec("keys install MDEyMzQ1Njc4OWFiY2RlZg==")
		if out := p.mustExec("keys list"); !strings.Contains(out, "encrypts") || strings.Contains(out, "MDEy") {
			t.Error(out)
		}
	}
	if out := alice.mustExec("reachability"); strings.Contains(out, "no answer") || !strings.Contains(out, "bob") {
		t.Error(out)
	}
	if out := alice.mustExec("rtt bob"); !strings.Contains(out, "bob") {
		t.Error(out)
	}
}

// Help shows how: every command has an example, and the registry takes it.
func TestEveryCommandHasAnExample(t *testing.T) {
	p, err := peer.New(chatapp.NewConfig("peer"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.Commands().Commands() {
		if c.Short == "" || !strings.HasPrefix(c.Example, c.Name) {
			t.Errorf("%s: short help %q, example %q", c.Name, c.Short, c.Example)
		}
	}
}

func TestCommandsReferenceIsCurrent(t *testing.T) {
	want, err := os.ReadFile("../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	p, err := peer.New(chatapp.NewConfig("peer"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Commands().Markdown() != string(want) {
		t.Error("docs/commands.md is not what the registry says: run make docs")
	}
}
