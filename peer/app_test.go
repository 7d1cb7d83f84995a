package peer_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/hashicorp/memberlist"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/peer"
	"peerlab/peer/command"
	"peerlab/peer/membership"
)

// The chat is an application like any other: a peer is built without it.
func TestPeerDoesNotImportTheChat(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), "peerlab/peer/membership\n") {
		t.Fatalf("no dependencies in\n%s", out)
	}
	for path := range strings.Lines(string(out)) {
		if strings.HasPrefix(path, "peerlab/peer/chat") {
			t.Errorf("package peer depends on %s", path)
		}
	}
}

// withoutApp is the configuration of a peer that has no application.
func withoutApp(name string, s *service) peer.Config {
	c := config(name, s)
	c.App = nil
	return c
}

// Peers without an application form a cluster, and their commands speak of none.
func TestWithoutApplication(t *testing.T) {
	s := startService(t, 2)
	alice, bob := start(t, withoutApp("alice", s)), start(t, withoutApp("bob", s))
	for _, p := range []*running{alice, bob} {
		p.awaitKind(event.PeerReady, "")
	}
	alice.awaitKind(event.MemberJoin, "bob")
	if out := alice.mustExec("members"); strings.Count(out, "alive") != 2 || strings.Contains(out, "CHAT") {
		t.Errorf("members:\n%s", out)
	}
	for _, line := range []string{"localnode", "membership show", "info", "health", "help", "help set", "help shell", "help log level", "testrun"} {
		if out := alice.mustExec(line); strings.Contains(strings.ToLower(out), "chat") {
			t.Errorf("%s speaks of a chat:\n%s", line, out)
		}
	}
	var info struct{ App string }
	if err := json.Unmarshal([]byte(alice.mustExec("info -format json")), &info); err != nil || info.App != "" {
		t.Errorf("info: %+v, %v", info, err)
	}
	if out := alice.mustExec("init"); !strings.Contains(out, "everything is up") {
		t.Errorf("init: %s", out)
	}
	alice.mustExec("tags chat=x")
	for _, line := range []string{"msg hello", "chat join", "chat members", "testfilter messagesView 1 x"} {
		if _, err := alice.exec(line); err == nil || !strings.Contains(err.Error(), "unknown command") {
			t.Errorf("%s: %v", line, err)
		}
	}
	bob.stop()
	<-bob.done
	if bob.err != nil {
		t.Error(bob.err)
	}
	alice.awaitKind(event.MemberLeft, "bob")
}

// A bare peer without an application comes up by its steps, and by init.
func TestStepsWithoutApplication(t *testing.T) {
	for _, lines := range [][]string{
		{"membership configure", "membership create", "membership start", "membership leave", "membership shutdown", "membership delete"},
		{"init", "init", "membership leave"},
	} {
		c := withoutApp("alice", nil)
		c.Bare = true
		alice := start(t, c)
		alice.awaitKind(event.PeerStarted, "")
		for _, line := range lines {
			alice.mustExec(line)
		}
	}
}

// An init that fails leaves no application behind that nobody hears of.
func TestInitAfterAFailedInit(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := startService(t, 2)
	bob := cluster(t, s, "bob")[0]
	c := config("alice", s)
	c.Bare, c.Bind = true, busy.Addr().String()
	alice := start(t, c)
	alice.awaitKind(event.PeerStarted, "")
	if _, err := alice.exec("init"); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("the address is in use, but init says %v", err)
	}
	if out := alice.mustExec("info"); !strings.Contains(out, "not joined") {
		t.Errorf("the chat is joined without membership:\n%s", out)
	}
	busy.Close()
	alice.mustExec("init")
	if out := alice.mustExec("members -format json"); !strings.Contains(out, `"chat": "`) {
		t.Errorf("the chat is not announced:\n%s", out)
	}
	bob.awaitKind(event.ChatJoin, "alice")
}

// Taking off the list who is not on it is said.
func TestBootstrapLeaveOfWhoIsNotListed(t *testing.T) {
	c := config("alice", startService(t, 2))
	c.Bare = true
	alice := start(t, c)
	alice.awaitKind(event.PeerStarted, "")
	for _, row := range []struct{ line, want string }{
		{"membership configure", "configured"},
		{"membership create", "created"},
		{"bootstrap join", "1 peer of at most 2"},
		{"bootstrap leave", "0 peers of at most 2"},
		{"bootstrap leave", "alice was not on the list\n0 peers of at most 2"},
		{"bootstrap leave -format json", "{\n  \"Config\""},
	} {
		if out := alice.mustExec(row.line); !strings.HasPrefix(out, row.want) {
			t.Errorf("%s: %q, want %q", row.line, out, row.want)
		}
	}
}

// A membership that cannot be created gives its transport back.
func TestFailedCreateEndsItsTransport(t *testing.T) {
	var network memberlist.MockNetwork
	ended := 0
	c := config("alice", nil)
	c.Bare, c.Advertise = true, "nowhere"
	c.Network.Transport = func() (memberlist.NodeAwareTransport, error) {
		return countShutdown{network.NewTransport("alice"), &ended}, nil
	}
	alice := start(t, c)
	alice.awaitKind(event.PeerStarted, "")
	alice.mustExec("membership configure")
	if _, err := alice.exec("membership create"); err == nil || !strings.Contains(err.Error(), "advertised") {
		t.Errorf("create: %v", err)
	}
	if ended == 0 {
		t.Error("the transport goes on")
	}
}

// countShutdown counts the calls of Shutdown.
type countShutdown struct {
	memberlist.NodeAwareTransport
	ended *int
}

func (c countShutdown) Shutdown() error {
	*c.ended++
	return c.NodeAwareTransport.Shutdown()
}

// By its events, too, a peer whose membership is shut down sees nobody.
func TestEventsOfAMembershipThatIsShutDown(t *testing.T) {
	s := startService(t, 2)
	alice := cluster(t, s, "alice", "bob")[0]
	sees := func() int {
		view := observe.NewView()
		events, _ := alice.Events().Since(0)
		for _, e := range events {
			view.Add(e)
		}
		return view.Count("alice", observe.Alive)
	}
	if n := sees(); n != 2 {
		t.Errorf("in the cluster alice sees %d", n)
	}
	alice.mustExec("membership shutdown")
	alice.mustExec("membership shutdown")
	if n := sees(); n != 0 {
		t.Errorf("without membership alice sees %d", n)
	}
	after := alice.Events().Last()
	alice.mustExec("init")
	alice.await(after, "bob again", func(e event.Event) bool { return e.Kind == event.MemberJoin && e.Member == "bob" })
	if n := sees(); n != 2 {
		t.Errorf("after init alice sees %d", n)
	}
}

// A peer that has left says so everywhere, and init brings it back.
func TestStatesOfAPeerThatHasLeft(t *testing.T) {
	s := startService(t, 2)
	peers := cluster(t, s, "alice", "bob")
	alice, bob := peers[0], peers[1]
	for _, row := range []struct {
		line string
		want string // in the output, after ! in the error, after !! not in the output
	}{
		{"membership leave", "left"},
		{"info", "waits for a membership"},
		{"health", "not ready: this peer has left"},
		{"msg hello", "!nobody would hear it"},
		{"membership shutdown", "shut down"},
		{"membership shutdown", "already shut down"},
		{"info", "membership  shut down"},
		{"info", "health      -"},
		{"info -format json", "!!\"health\""},
		{"membership show", "membership is shut down: "},
		{"events -format text", "!events are JSON lines"},
		{"peer version", "!: did you mean bootstrappeers?"},
		{"members", "!is shut down"},
		{"health", "!is shut down"},
		{"membership delete", "deleted"},
		{"info", "not created"},
		{"msg hello", "!nobody would hear it"},
		{"init", "up at"},
		{"health -format json", `"ready": true`},
		{"init", "everything is up"},
		{"membership leave", "left"},
		{"init", "this peer has left: a new membership"},
	} {
		out, err := alice.exec(row.line)
		if lacks, is := strings.CutPrefix(row.want, "!!"); is {
			if err != nil || strings.Contains(out, lacks) {
				t.Errorf("%s: %v\n%s\nhas %q", row.line, err, out, lacks)
			}
		} else if want, fails := strings.CutPrefix(row.want, "!"); fails {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q", row.line, err, want)
			}
		} else if err != nil || !strings.Contains(out, row.want) {
			t.Errorf("%s: %v\n%s\nwant %q", row.line, err, out, row.want)
		}
		if ready := alice.Ready(); (ready == nil) != (row.line == "init" || strings.HasPrefix(row.line, "health -")) {
			t.Errorf("after %s, alice is ready: %v", row.line, ready)
		}
		if row.line == "membership leave" {
			left := bob.await(bob.Events().Last()-min(bob.Events().Last(), 3), "alice left", func(e event.Event) bool {
				return e.Kind == event.MemberLeft && e.Member == "alice"
			})
			defer func() {
				bob.await(left.Seq, "alice in the chat again", func(e event.Event) bool {
					return e.Kind == event.ChatJoin && e.Member == "alice"
				})
			}()
		}
	}
}

// An application that stays joined while membership is made anew is announced
// in the new one.
func TestApplicationIsAnnouncedByANewMembership(t *testing.T) {
	c := config("alice", nil)
	c.Bare = true
	alice := start(t, c)
	alice.awaitKind(event.PeerStarted, "")
	for _, lines := range [][]string{{"init"}, {"membership configure", "membership create"}} {
		for _, line := range append(lines, "membership leave", "membership shutdown", "membership delete") {
			alice.mustExec(line)
			if line != lines[len(lines)-1] {
				continue
			}
			if out := alice.mustExec("members -format json"); !strings.Contains(out, `"chat": "`) {
				t.Errorf("after %s the chat is not announced:\n%s", line, out)
			}
		}
	}
}

// A join whose announcement has no room in the metadata leaves the application as
// it was.
func TestJoinWithoutRoomForTheAnnouncement(t *testing.T) {
	c := config("alice", nil)
	c.NoApp = true
	alice := start(t, c)
	alice.awaitKind(event.PeerReady, "")
	alice.mustExec("tags big=" + strings.Repeat("x", 475))
	for range 2 {
		if _, err := alice.exec("chat join"); err == nil || !strings.Contains(err.Error(), "512") {
			t.Errorf("chat join: %v", err)
		}
	}
	alice.mustExec("tags big=")
	alice.mustExec("chat join")
}

func TestConfigureWithoutApplication(t *testing.T) {
	c := peer.Config{Name: "alice"}
	for _, name := range []string{"no-chat", "chat-bind", "chat-rate"} {
		if err := c.Configure(map[string]string{name: "1"}); err == nil || !strings.Contains(err.Error(), "no setting") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// named is an application with a name only.
type named string

func (n named) Name() string                 { return string(n) }
func (named) Commands() []command.Command    { return nil }
func (named) Join(peer.Node) (string, error) { return "here", nil }
func (named) Update([]membership.Member)     {}
func (named) Leave(context.Context)          {}

func TestApplicationNames(t *testing.T) {
	for name, ok := range map[string]bool{"light": true, "": false, "my app": false, "App": false, "boot": false, "since": false} {
		_, err := peer.New(peer.Config{Name: "alice", App: named(name)})
		if ok != (err == nil) || !ok && !strings.Contains(err.Error(), "application name") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// The chat listens and dials by the peer's network.
func TestApplicationUsesTheNetwork(t *testing.T) {
	refused := errors.New("no connections here")
	c := config("alice", nil)
	var asked string
	c.Network.Listen = func(addr string) (net.Listener, error) { asked = addr; return nil, refused }
	p, err := peer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context()); !errors.Is(err, refused) || asked != "127.0.0.1:0" {
		t.Errorf("listened at %q: %v", asked, err)
	}
}
