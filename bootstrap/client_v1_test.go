package bootstrap_test

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"peerlab/bootstrap"
	"peerlab/bootstrap/server"
	"peerlab/bootstrap/store"
)

func TestClientV1AgainstServer(t *testing.T) {
	ctx := t.Context()
	tokens, err := server.ParseTokens("write 0123456789abcdef\nadmin fedcba9876543210")
	if err != nil {
		t.Fatal(err)
	}
	open := dial(t, server.New(store.NewMemory(1, 2), server.Options{Log: slog.New(slog.DiscardHandler), Tokens: tokens, AllowLoopback: true}))
	c := open.WithToken("0123456789abcdef")
	offer := bootstrap.Offer{Peer: bob(), View: "all"}
	offer.ID = "odd/../%2F id"
	if _, err := c.Register(ctx, offer); err == nil || !strings.Contains(err.Error(), "register: id") {
		t.Errorf("an invalid offer was sent: %v", err)
	}
	offer.ID = "odd/../%2F"
	l, err := c.Register(ctx, offer)
	if err != nil || !l.Listed || len(l.Peers) != 1 || l.Peers[0].Peer != offer.Peer || l.TTL != 60 || l.Config.MaxPeers != 1 {
		t.Fatalf("register: %+v, %v", l, err)
	}
	if d := l.Data(); d.Peers[offer.ID] != offer.Peer || d.Config != l.Config {
		t.Errorf("%+v", d)
	}
	other := bootstrap.Offer{Peer: bob(), Gone: []string{offer.ID}}
	if l, err = c.Replace(ctx, other); err != nil || !l.Listed {
		// The port of the first is closed: it is gone.
		t.Errorf("replace: %+v, %v", l, err)
	}
	if l, err = open.Peers(ctx); err != nil || len(l.Peers) != 1 || l.Peers[0].ID != other.ID {
		t.Errorf("peers: %+v, %v", l, err)
	}
	if l, err = c.Remove(ctx, other.ID); err != nil || len(l.Peers) != 0 {
		t.Errorf("remove: %+v, %v", l, err)
	}
	if _, err = c.RemoveAll(ctx); err == nil || !strings.Contains(err.Error(), `remove all: status 403: "this token does not allow that"`) {
		t.Errorf("remove all: %v", err)
	}
	if _, err = open.Remove(ctx, "x"); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("without a token: %v", err)
	}
	if _, err = open.WithToken("fedcba9876543210").RemoveAll(ctx); err != nil {
		t.Error(err)
	}
	if _, err = c.Remove(ctx, ""); err == nil {
		t.Error("removed nobody")
	}
}

func TestClientV1OtherServices(t *testing.T) {
	for body, want := range map[string]string{"<html>": "is this a bootstrap service?", "{}": "no config", `{"config":[]}`: "is this a bootstrap service?"} {
		c := dial(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
		if _, err := c.Peers(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", body, err)
		}
	}
}
