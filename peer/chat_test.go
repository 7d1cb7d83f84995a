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

// chatting starts peers whose chats are configured so, and waits until all see
// each other in the chat.
func chatting(t *testing.T, conf func(*peer.Config), names ...string) []*running {
	t.Helper()
	s := startService(t, 2)
	var peers []*running
	for _, name := range names {
		c := config(name, s)
		conf(&c)
		peers = append(peers, start(t, c))
	}
	for _, p := range peers {
		p.awaitKind(event.PeerReady, "")
		for _, other := range names {
			if other != p.Name() {
				p.awaitKind(event.ChatJoin, other)
			}
		}
	}
	return peers
}

// chatOf is the configuration of a peer's chat.
func chatOf(c *peer.Config) *chatapp.Config { return &c.App.(*chatapp.App).Config }

func (r *running) awaitText(text string) {
	r.t.Helper()
	r.await(0, text, func(e event.Event) bool { return e.Kind == event.ChatDelivered && e.Text == text })
}

func TestChatByGossip(t *testing.T) {
	peers := chatting(t, func(c *peer.Config) { chatOf(c).Carrier = chatapp.CarrierGossip }, "alice", "bob", "charly")
	peers[0].mustExec("msg -wait hello")
	large := strings.Repeat("x", 5000)
	peers[1].mustExec("msg " + large)
	for _, p := range peers {
		if p.Name() != "alice" {
			p.awaitText("hello")
		}
		if p.Name() != "bob" {
			p.awaitText(large)
		}
	}
	if out := peers[0].mustExec("chat stats -format json"); !strings.Contains(out, `"carrier": "gossip"`) || strings.Contains(out, `"gossiped": 0`) {
		t.Errorf("%s", out)
	}
}

func TestChatSecretIsChanged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secrets")
	write := func(secrets ...string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(strings.Join(secrets, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const first, second = "q0E8iNvSxzJm2TtK4v7bY1uWcRHgLd5PfAoZ3nXkVwM=", "7hGkPzB1cXr9TqYwU4sJvN0aMfE6LdR2oKiWtC8xHbQ="
	write(first)
	peers := chatting(t, func(c *peer.Config) { chatOf(c).SecretFile = file }, "alice", "bob")
	peers[0].mustExec("msg -wait one")
	for _, step := range [][]string{{first, second}, {second, first}, {second}} {
		write(step...)
		for _, p := range peers {
			p.mustExec("chat rekey")
			p.mustExec("chat ping")
			p.mustExec("msg -wait hello")
		}
	}
	write("short")
	if _, err := peers[0].exec("chat rekey"); err == nil || strings.Contains(err.Error(), "short") && !strings.Contains(err.Error(), "bytes") {
		t.Errorf("%v", err)
	}
	peers[0].mustExec("chat ping bob")
}

func TestMsgWaitLocal(t *testing.T) {
	state := t.TempDir()
	alice := chatting(t, func(c *peer.Config) { c.State = state }, "alice")[0]
	alice.mustExec("msg -wait=local 'on disk'")
	if out := alice.mustExec("chat stats"); !strings.Contains(out, filepath.Join(state, "chat.db")) {
		t.Errorf("%s", out)
	}
	bob := chatting(t, func(*peer.Config) {}, "bob")[0]
	if _, err := bob.exec("msg -wait=local hello"); err == nil || !strings.Contains(err.Error(), "--state") {
		t.Errorf("%v", err)
	}
	if _, err := bob.exec("msg -wait=never hello"); err == nil || !strings.Contains(err.Error(), "-wait=local") {
		t.Errorf("%v", err)
	}
	if _, err := bob.exec("chat rekey"); err == nil || !strings.Contains(err.Error(), "--chat-secret-file") {
		t.Errorf("%v", err)
	}
}

func TestChatConfigIsChecked(t *testing.T) {
	for name, test := range map[string]struct {
		chat chatapp.Config
		want string
	}{
		"carrier":        {chatapp.Config{Carrier: "pigeon"}, "there are direct and gossip"},
		"short secret":   {chatapp.Config{Secret: "short"}, "openssl rand -base64 32"},
		"no such file":   {chatapp.Config{SecretFile: "/does/not/exist"}, "no such file"},
		"negative rate":  {func() (c chatapp.Config) { c.Limits.Rate = -1; return }(), "no limit"},
		"negative limit": {func() (c chatapp.Config) { c.Limits.Horizon = -1; return }(), "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			c := config("alice", nil)
			*chatOf(&c) = test.chat
			if _, err := peer.New(c); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v", err)
			}
		})
	}
}
