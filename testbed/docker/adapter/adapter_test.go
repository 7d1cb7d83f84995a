package adapter

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

func TestNamed(t *testing.T) {
	for name, want := range map[string]string{"": "peer", "peer": "peer", "serf": "serf"} {
		if a, err := Named(name); err != nil || a.Name() != want {
			t.Errorf("%q: %v, %v", name, a, err)
		}
	}
	if _, err := Named("srf"); err == nil || !strings.Contains(err.Error(), "did you mean serf?") {
		t.Errorf("srf: %v", err)
	}
	if _, err := Named("kubernetes"); err == nil || !strings.Contains(err.Error(), "there are peer, serf") {
		t.Errorf("kubernetes: %v", err)
	}
}

func TestOwn(t *testing.T) {
	c, err := Own{}.Start(Peer{
		Name: "alice", Service: netip.MustParseAddr("10.0.0.10"), Settings: map[string]string{"chat-bind": ":1", "set": "A=1,B=2"},
	})
	want := map[string]string{"PEER_BOOTSTRAP": "http://10.0.0.10:8080", "PEER_CHAT_BIND": ":1", "PEER_NAME": "alice", "PEER_SET": "A=1,B=2"}
	if err != nil || !maps.Equal(c.Env, want) || c.Command != nil || c.Tmpfs["/run/peer"] == "" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestOwnDecoder(t *testing.T) {
	decode := Own{}.Decoder("alice")
	for line, want := range map[string]string{
		`{"t":"2026-01-02T02:04:05Z","seq":7,"peer":"bob","kind":"chat.start"}`: "",
		`{"t":"2026-01-02T02:04:05Z","peer":"bob","kind":"chat.start"}`:         "no number seq",
		"hello": "parse event line",
	} {
		e, isEvent, err := decode(time.Time{}, []byte(line))
		if isEvent != (want == "") || want == "" && e.Seq != 7 || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %+v, %v", line, e, err)
		}
	}
}

func TestSerfStart(t *testing.T) {
	c, err := Serf{}.Start(Peer{Name: "bob", Others: []string{"alice", "charly"}, Settings: map[string]string{"profile": "lan"}})
	if err != nil || !slices.Contains(c.Command, "-profile=lan") || !slices.Contains(c.Command, "-retry-join=charly:7946") {
		t.Errorf("%q, %v", c.Command, err)
	}
	for setting, want := range map[string]string{"rejoin=5s": `no setting "rejoin"`, "profile=wna": `no profile "wna"`} {
		key, value, _ := strings.Cut(setting, "=")
		if _, err := (Serf{}).Start(Peer{Settings: map[string]string{key: value}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

func TestSerfLine(t *testing.T) {
	got, err := Serf{}.Line("event deploy 'a b'", testbed.Input{})
	if err != nil || !slices.Equal(got.Command, []string{"/serf", "event", "deploy", "a b"}) {
		t.Errorf("%q, %v", got.Command, err)
	}
	// No command of serf reads standard input: it would be dropped without a word.
	for stdin, fails := range map[string]bool{"": false, "text\n": true} {
		if _, err := (Serf{}).Line("event deploy -", testbed.Input{Stdin: &stdin}); (err != nil) != fails {
			t.Errorf("standard input %q: %v", stdin, err)
		}
	}
	for _, bad := range []string{"", "  # nothing", "members 'open"} {
		if got, err := (Serf{}).Line(bad, testbed.Input{}); err == nil {
			t.Errorf("%q: %q", bad, got.Command)
		}
	}
}

// said is what a serf agent v0.11.0 wrote while others joined, failed, left and
// came back, and it was stopped and started again.
const said = `==> Starting Serf agent...
==> Starting Serf agent RPC...
==> Serf agent running!
                      Node name: 'alice'
==> Log data will now stream in as it occurs:

    2026/11/24 22:04:34 [INFO] agent: Serf agent starting
    2026/11/24 22:04:34 [INFO] serf: EventMemberJoin: alice 10.0.0.11
    2026/11/24 22:04:34 [INFO] serf: EventMemberJoin: bob 10.0.0.12
    2026/11/24 22:04:35 [INFO] agent: Received event: member-join
    2026/11/24 22:04:36 [INFO] memberlist: Suspect bob has failed, no acks received
    2026/11/24 22:04:38 [INFO] serf: EventMemberFailed: bob 10.0.0.12
    2026/11/24 22:04:39 [INFO] serf: attempting reconnect to bob 10.0.0.12:7946
    2026/11/24 22:04:40 [INFO] serf: EventMemberUpdate: alice
    2026/11/24 22:04:41 [INFO] serf: EventMemberJoin: bob 10.0.0.12
    2026/11/24 22:04:42 [INFO] serf: EventMemberLeave: bob 10.0.0.12
    2026/11/24 22:04:42 [INFO] serf: EventMemberLeave (forced): bob 10.0.0.12
    2026/11/24 22:04:43 [INFO] serf: EventMemberReap: bob
==> Caught signal: interrupt
==> Starting Serf agent...
    2026/11/24 22:04:50 [INFO] serf: EventMemberJoin: alice 10.0.0.11
`

func TestSerfDecoder(t *testing.T) {
	decode := Serf{}.Decoder("alice")
	at := time.Now()
	var got []string
	for line := range strings.Lines(said) {
		e, tells, err := decode(at, []byte(strings.TrimSuffix(line, "\n")))
		if err != nil {
			t.Fatal(err)
		}
		if tells {
			if e.Peer != "alice" || !e.Time.Equal(at) {
				t.Errorf("%+v", e)
			}
			got = append(got, strings.TrimSpace(strings.Join([]string{string(e.Kind), e.Member, e.Addr, e.Was}, " ")))
		}
	}
	want := []string{
		"peer.started", "member.join alice 10.0.0.11:7946", "member.join bob 10.0.0.12:7946",
		"member.dead bob 10.0.0.12:7946 alive", "member.update alice  alive", "member.join bob 10.0.0.12:7946 dead",
		"member.left bob 10.0.0.12:7946 alive", "member.left bob 10.0.0.12:7946 left", "member.reap bob  left",
		"peer.stopping", "peer.started", "member.join alice 10.0.0.11:7946",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func FuzzSerfDecoder(f *testing.F) {
	for line := range strings.Lines(said) {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		e, tells, err := Serf{}.Decoder("alice")(time.Unix(1, 0), line)
		if err != nil || tells != (e.Kind != "") {
			t.Errorf("%q: %+v %t %v", line, e, tells, err)
		}
		if tells && e.Kind != event.PeerStarted && e.Kind != event.PeerStopping && e.Member == "" {
			t.Errorf("%q: nobody is told of", line)
		}
	})
}
