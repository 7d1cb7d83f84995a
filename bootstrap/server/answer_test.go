package server

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"peerlab/bootstrap"
	"peerlab/bootstrap/store"
)

func TestEncodeListByHand(t *testing.T) {
	svc := &service{Options: Options{TTL: 90 * time.Second}}
	peer := bootstrap.Peer{ID: "a<b>\"\\é", Name: "<&>\u2028", IP: "2001:db8::1", Port: "1", Protocol: "tcp", Timestamp: "5"}
	other := peer
	other.ID, other.Status, other.Timestamp = "z", "0", "10"
	for name, s := range map[string]store.State{
		"empty": {},
		"some": {MaxPeers: 2, MinRefillCandidates: 7, Peers: map[string]store.Entry{
			peer.ID:  store.NewEntry(peer, "", time.UnixMilli(1_700_000_000_120), 0),
			other.ID: store.NewEntry(other, "v<\"", time.UnixMilli(1_700_000_000_000), 1500*time.Millisecond),
		}},
	} {
		for _, id := range []string{"", "z", "unknown"} {
			want, err := json.Marshal(svc.listOf(s, id))
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			svc.writeList(w, s, id)
			if got := w.Body.String(); got != string(want) {
				t.Errorf("%s, %q:\n%s\nwant\n%s", name, id, got, want)
			}
		}
	}
}

func TestCachedListFollowsTheStore(t *testing.T) {
	h := NewHandler(store.NewMemory(2, 2), quiet)
	list := func() string { return ask(h, "GET", "/v1/peers", "").Body.String() }
	empty := list()
	ask(h, "POST", "/join", bob)
	one := list()
	ask(h, "POST", "/config", "3 3")
	three := list()
	ask(h, "POST", "/reset", "")
	ask(h, "POST", "/config", "2 2")
	if one == empty || three == one || list() != empty {
		t.Errorf("%s\n%s\n%s\n%s", empty, one, three, list())
	}
}
