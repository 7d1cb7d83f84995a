package app_test

import (
	"reflect"
	"strings"
	"testing"

	"peerlab/peer/chat"
	chatapp "peerlab/peer/chat/app"
	"peerlab/peer/files"
)

func TestFlags(t *testing.T) {
	app := chatapp.New()
	conf := chatapp.NewConfig("alice")
	conf.App = app
	limits := chat.Limits{History: chat.DefaultHistory, Horizon: chat.DefaultHorizon}
	want := chatapp.Config{Bind: "0.0.0.0:7947", Carrier: chatapp.CarrierDirect, Limits: limits}
	if err := conf.Configure(nil); err != nil || conf.NoApp || !reflect.DeepEqual(app.Config, want) {
		t.Errorf("defaults: %+v, %v", app.Config, err)
	}
	err := conf.Configure(map[string]string{
		"no-chat": "true", "chat-bind": "127.0.0.1:0", "chat-carrier": "gossip", "chat-rate": "2.5",
		"chat-history": "3", "chat-horizon": "4", "chat-secret-file": "secrets", "chat-retransmit": "3",
	})
	want = chatapp.Config{
		Bind: "127.0.0.1:0", Carrier: chatapp.CarrierGossip, SecretFile: "secrets", Retransmit: 3,
		Limits: chat.Limits{Rate: 2.5, History: 3, Horizon: 4},
	}
	if err != nil || !conf.NoApp || !reflect.DeepEqual(app.Config, want) {
		t.Errorf("%+v, %v", app.Config, err)
	}
	if err := conf.Configure(map[string]string{"chat-secret": "x"}); err == nil || !strings.Contains(err.Error(), "did you mean chat-secret-file?") {
		t.Errorf("%v", err)
	}
}

// The zero configuration is that of the flags, and the secret is where the
// program puts it.
func TestPrepare(t *testing.T) {
	app := chatapp.New()
	if err := app.Prepare(files.OS{}); err != nil || app.Config.Bind != chatapp.DefaultBind {
		t.Errorf("%+v, %v", app.Config, err)
	}
	for _, n := range []int{-1, 1001} {
		app.Config.Retransmit = n
		if err := app.Prepare(files.OS{}); err == nil || !strings.Contains(err.Error(), "use 1 to 1000") {
			t.Errorf("retransmit %d: %v", n, err)
		}
	}
	app.Config.Retransmit = 0
	*app.Secrets()["PEER_CHAT_SECRET"] = "short"
	if err := app.Prepare(files.OS{}); err == nil || !strings.Contains(err.Error(), "could be guessed") {
		t.Errorf("a short secret: %v", err)
	}
}
