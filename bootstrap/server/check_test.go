package server

import (
	"context"
	"errors"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"peerlab/bootstrap/store"
)

// TestOnlyOwnAddressesAreDialed registers a peer and reports it dead: the
// service must not tell anybody which ports of others are open.
func TestOnlyOwnAddressesAreDialed(t *testing.T) {
	all := "write " + writeToken + "\nadmin " + adminToken
	for _, test := range []struct {
		name, tokens, token, from, forwarded, ip string
		dialed                                   bool
	}{
		{"its own address", "", "", "198.51.100.1:999", "", "198.51.100.1", true},
		{"its own address, version 6", "", "", "[2001:db8::1]:999", "", "2001:db8::1", true},
		{"its own address in another form", "", "", "198.51.100.1:999", "", "::ffff:198.51.100.1", true},
		{"its own address, on a socket of version 6", "", "", "[::ffff:198.51.100.1]:999", "", "198.51.100.1", true},
		{"another's", "", "", "198.51.100.1:999", "", "10.0.0.1", false},
		{"another's, with a token nobody asks for", "", writeToken, "198.51.100.1:999", "", "10.0.0.1", false},
		{"another's, where only an admin token is set", "admin " + adminToken, "", "198.51.100.1:999", "", "10.0.0.1", false},
		{"another's, with a write token", all, writeToken, "198.51.100.1:999", "", "10.0.0.1", true},
		{"another's, with an admin token", all, adminToken, "198.51.100.1:999", "", "10.0.0.1", true},
		{"its own behind a proxy", "", "", "192.0.2.9:1", "198.51.100.1", "198.51.100.1", true},
		{"the proxy's", "", "", "192.0.2.9:1", "198.51.100.1", "192.0.2.9", false},
		{"one that it claims", "", "", "198.51.100.1:999", "10.0.0.1", "10.0.0.1", false},
	} {
		for _, register := range []struct{ name, method, path, body string }{
			{"put", "PUT", "/v1/peers/x", `{"name":"x","ip":"IP","port":"22","protocol":"tcp","timestamp":"1"}`},
			{"refill", "POST", "/v1/refill", `{"id":"x","name":"x","ip":"IP","port":"22","protocol":"tcp","timestamp":"1"}`},
			{"old join", "POST", "/join", "x x IP 22 tcp 0 1"},
			{"old refill", "POST", "/refill", "x x IP 22 tcp 0 1"},
		} {
			t.Run(test.name+", "+register.name, func(t *testing.T) {
				var dials atomic.Int32
				kept := store.NewMemory(2, 2)
				h := New(kept, Options{
					Tokens: tokens(t, test.tokens), TrustedProxies: []string{"192.0.2.0/24"},
					Dial: func(context.Context, string) error { dials.Add(1); return errors.New("refused") },
				})
				send := func(method, path, body string) *httptest.ResponseRecorder {
					r := request(method, path, strings.NewReader(body))
					r.RemoteAddr = test.from
					r.Header.Set("Content-Type", "application/json")
					if test.token != "" {
						r.Header.Set("Authorization", "Bearer "+test.token)
					}
					if test.forwarded != "" {
						r.Header.Set("X-Forwarded-For", test.forwarded)
					}
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					return w
				}
				listed := func() bool {
					s, err := kept.View(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					return len(s.Peers) > 0
				}
				if w := send(register.method, register.path, strings.ReplaceAll(register.body, "IP", test.ip)); w.Code != 200 || !listed() {
					t.Fatalf("register: %d %s", w.Code, w.Body)
				}
				gone := `{"id":"y","name":"y","ip":"198.51.100.1","port":"22","protocol":"tcp","timestamp":"9","gone":["x"]}`
				if w := send("POST", "/v1/refill", gone); w.Code != 200 {
					t.Fatalf("refill: %d %s", w.Code, w.Body)
				}
				w := send("DELETE", "/v1/peers/x?reason=dead", "")
				s, err := kept.View(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				_, stays := s.Peers["x"]
				if stays == test.dialed || (dials.Load() > 0) != test.dialed {
					t.Errorf("dialed %d times, stays: %t", dials.Load(), stays)
				}
				if !test.dialed && (w.Code != 409 || !strings.Contains(w.Body.String(), "another address")) {
					t.Errorf("report: %d %s", w.Code, w.Body)
				}
			})
		}
	}
}

// TestTakenOverIsNotDialed: who registers an address of another's under the
// ID of a peer that may be dialed does not inherit that.
func TestTakenOverIsNotDialed(t *testing.T) {
	h := New(store.NewMemory(2, 2), Options{Dial: func(_ context.Context, addr string) error {
		t.Errorf("%s was dialed", addr)
		return nil
	}})
	for _, ip := range []string{"198.51.100.1", "10.0.0.1"} {
		r := request("PUT", "/v1/peers/x", strings.NewReader(`{"name":"x","ip":"`+ip+`","port":"22","protocol":"tcp","timestamp":"1"}`))
		r.RemoteAddr = "198.51.100.1:999"
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if w := ask(h, "DELETE", "/v1/peers/x?reason=dead", ""); w.Code != 409 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestForeignIsKept: a store that other processes read keeps who may be
// dialed, and says nothing of it for those who may, which older servers read.
func TestForeignIsKept(t *testing.T) {
	p, err := parsePeer(bob, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	e := store.NewEntry(p, "", time.Now(), time.Hour)
	if text := string(store.EncodeEntry(e)); strings.Contains(text, "foreign") {
		t.Errorf("%s", text)
	}
	e.Foreign = true
	if got, err := store.DecodeEntry(e.ID, store.EncodeEntry(e)); err != nil || got != e {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestNetworks(t *testing.T) {
	h := New(store.NewMemory(9, 2), Options{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}})
	for ip, want := range map[string]int{
		"10.1.2.3": 200, "::ffff:10.1.2.3": 200, "2001:db8::1": 200,
		"11.1.2.3": 400, "192.168.0.1": 400, "2001:db9::1": 400, "::ffff:11.0.0.1": 400,
	} {
		for _, path := range []string{"/join", "/refill"} {
			if w := ask(h, "POST", path, "id bob "+ip+" 7946 tcp 0 1"); w.Code != want || want == 400 && !strings.Contains(w.Body.String(), "--networks") {
				t.Errorf("%s %s: %d %s", path, ip, w.Code, w.Body)
			}
		}
		r := request("PUT", "/v1/peers/x", strings.NewReader(`{"name":"x","ip":"`+ip+`","port":"22","protocol":"tcp","timestamp":"1"}`))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%s: %d %s", ip, w.Code, w.Body)
		}
	}
}
