package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"peerlab/bootstrap"
	"peerlab/bootstrap/store"
)

const (
	readToken  = "read-read-read-read"
	writeToken = "write-write-write-write"
	adminToken = "admin-admin-admin-admin"
)

func tokens(t *testing.T, text string) Tokens {
	t.Helper()
	tok, err := ParseTokens(text)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestTokens(t *testing.T) {
	all := "read " + readToken + "\n# comment\n\nwrite " + writeToken + "\nadmin " + adminToken + "\nadmin second-second-second"
	jsonPeer := `{"name":"bob","ip":"192.0.2.1","port":"1","protocol":"tcp","timestamp":"1"}`
	requests := []struct {
		method, path, body string
		role               role
	}{
		{"GET", "/list", "", reader},
		{"POST", "/join", bob, writer},
		{"POST", "/leave", "x", writer},
		{"POST", "/refill", bob, writer},
		{"POST", "/reset", "", administrator},
		{"POST", "/config", "2 2", administrator},
		{"GET", "/ping", "", nobody},
		{"GET", "/healthz", "", nobody},
		{"GET", "/readyz", "", nobody},
		{"GET", "/v1/openapi.json", "", nobody},
		{"GET", "/metrics", "", reader},
		{"GET", "/", "", reader},
		{"GET", "/v1/peers", "", reader},
		{"GET", "/v1/config", "", reader},
		{"PUT", "/v1/peers/bob", jsonPeer, writer},
		{"GET", "/v1/peers/bob", "", reader},
		{"DELETE", "/v1/peers/bob", "", writer},
		{"POST", "/v1/refill", `{"id":"bob",` + jsonPeer[1:], writer},
		{"PUT", "/v1/config", `{"maxpeers":2,"minrefillcandidates":2}`, administrator},
		{"DELETE", "/v1/peers", "", administrator},
	}
	for _, test := range []struct {
		name, tokens, header string
		held                 role
		open                 role // what needs no token
		unknown              bool // the token is none of those there are
	}{
		{"no tokens set", "", "", nobody, administrator, false},
		{"all set, none sent", all, "", nobody, nobody, true},
		{"all set, wrong", all, "Bearer wrong-wrong-wrong-wrong", nobody, nobody, true},
		{"all set, part", all, "Bearer " + readToken[:16], nobody, nobody, true},
		{"read", all, "Bearer " + readToken, reader, nobody, false},
		{"write", all, "bearer " + writeToken, writer, nobody, false},
		{"admin", all, "Bearer " + adminToken, administrator, nobody, false},
		{"second admin", all, "Bearer second-second-second", administrator, nobody, false},
		{"basic", all, "Basic " + "eDphZG1pbi1hZG1pbi1hZG1pbi1hZG1pbg==", administrator, nobody, false},
		{"only admin set, none sent", "admin " + adminToken, "", nobody, writer, true},
		{"only admin set", "admin " + adminToken, "Bearer " + adminToken, administrator, writer, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := New(store.NewMemory(2, 2), Options{AllowLoopback: true, Tokens: tokens(t, test.tokens)})
			for _, r := range requests {
				req := request(r.method, r.path, strings.NewReader(r.body))
				req.Header.Set("Content-Type", "application/json")
				if test.header != "" {
					req.Header.Set("Authorization", test.header)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, req)
				allowed := r.role <= test.held || r.role <= test.open
				want := "2xx"
				switch {
				case !allowed && test.unknown:
					want = "401"
				case !allowed:
					want = "403"
				}
				got := fmt.Sprint(w.Code)
				if w.Code < 300 || w.Code == 404 { // let through, and nobody there
					got = "2xx"
				}
				if got != want {
					t.Errorf("%s %s: %d, want %s: %s", r.method, r.path, w.Code, want, w.Body)
				}
				if strings.Contains(w.Body.String(), "admin-admin") {
					t.Error("an answer holds a token")
				}
			}
		})
	}
	for _, bad := range []string{"root " + adminToken, "read", "read short", "read a b", adminToken} {
		if _, err := ParseTokens(bad); err == nil || strings.Contains(err.Error(), adminToken) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestLoopbackIsRefused(t *testing.T) {
	h := New(store.NewMemory(2, 2), Options{})
	for _, ip := range []string{"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "169.254.169.254", "fe80::1", "255.255.255.255"} {
		line := "id bob " + ip + " 7946 tcp 0 1"
		if w := ask(h, "POST", "/join", line); w.Code != 400 {
			t.Errorf("%s: %d %s", ip, w.Code, w.Body)
		}
	}
	for _, ip := range []string{"10.77.0.11", "192.168.1.1", "fd00::1", "2001:db8::1"} {
		if w := ask(h, "POST", "/join", "id bob "+ip+" 7946 tcp 0 1"); w.Code != 200 {
			t.Errorf("%s: %d %s", ip, w.Code, w.Body)
		}
	}
}

func TestRatePerClient(t *testing.T) {
	h := New(store.NewMemory(2, 2), Options{Rate: 3, TrustedProxies: []string{"192.0.2.0/24"}})
	from := func(remote, forwarded string) int {
		req := request("GET", "/v1/peers", nil)
		req.RemoteAddr = remote
		if forwarded != "" {
			req.Header.Set("X-Forwarded-For", forwarded)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code == 429 && (w.Header().Get("Retry-After") == "" || w.Header().Get("Content-Type") != "application/problem+json") {
			t.Errorf("%v", w.Header())
		}
		return w.Code
	}
	for range 3 {
		if code := from("198.51.100.1:1", ""); code != 200 {
			t.Errorf("%d", code)
		}
	}
	for what, code := range map[string]int{
		"the fourth":                  from("198.51.100.1:2", ""),
		"one that claims another":     from("198.51.100.1:3", "203.0.113.1"),
		"one that claims another two": from("198.51.100.1:3", "203.0.113.2"),
	} {
		if code != 429 {
			t.Errorf("%s: %d", what, code)
		}
	}
	for i := range 3 {
		if code := from("192.0.2.1:1", fmt.Sprintf("203.0.113.%d", i)); code != 200 {
			t.Errorf("client %d behind the proxy: %d", i, code)
		}
	}
}

// blocking is a store whose reads wait.
type blocking struct {
	store.Store
	entered chan struct{}
}

func (b blocking) View(ctx context.Context) (store.State, error) {
	b.entered <- struct{}{}
	<-ctx.Done()
	return store.State{}, ctx.Err()
}

func TestThrottleAndTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entered := make(chan struct{}, 9)
		h := New(blocking{entered: entered}, Options{Concurrent: 1})
		codes := make(chan int, 3)
		begin := time.Now()
		for range 3 {
			go func() { codes <- ask(h, http.MethodGet, "/v1/peers", "").Code }()
		}
		// One is worked on, one waits a second for its turn, one has no place.
		got := map[int]int{<-codes: 1}
		got[<-codes]++
		if took := time.Since(begin); got[429]+got[503] != 2 || took != time.Second {
			t.Errorf("after %v: %v", took, got)
		}
		if code := <-codes; code != 503 && code != 504 || time.Since(begin) != requestTimeout {
			t.Errorf("the store that does not answer: %d after %v", code, time.Since(begin))
		}
	})
}

func TestChecksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials, now, most atomic.Int32
		dialed := make(map[string]int)
		var mu sync.Mutex
		s := store.NewMemory(100, 2)
		h := New(s, Options{Dial: func(ctx context.Context, addr string) error {
			dials.Add(1)
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			mu.Lock()
			dialed[addr]++
			mu.Unlock()
			<-ctx.Done() // as an address behind a firewall
			return ctx.Err()
		}})
		const peers = 32
		registered := make(map[string]bool)
		for i := range peers {
			p := bootstrap.Peer{ID: fmt.Sprint("p", i), Name: "n", IP: fmt.Sprintf("192.0.2.%d", i+1), Port: "1", Protocol: "tcp", Timestamp: "1"}
			registered[p.Addr()] = true
			if _, err := s.Update(t.Context(), func(s *store.State) error {
				s.Register(store.NewEntry(p, "", time.Now(), time.Hour))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		var all sync.WaitGroup
		for i := range 3 * peers { // each is reported three times at once
			all.Go(func() { ask(h, "DELETE", fmt.Sprintf("/v1/peers/p%d?reason=dead", i%peers), "") })
			all.Go(func() { ask(h, "DELETE", fmt.Sprintf("/v1/peers/198.51.100.%d:80?reason=dead", i), "") })
		}
		all.Wait()
		if most.Load() > maxChecks || dials.Load() > peers {
			t.Errorf("%d dials, %d at once, want at most %d and %d", dials.Load(), most.Load(), peers, maxChecks)
		}
		for addr := range dialed {
			if !registered[addr] {
				t.Errorf("%s was dialed and never registered", addr)
			}
		}
	})
}

func TestRenewedDuringACheckStays(t *testing.T) {
	s := store.NewMemory(2, 2)
	var h http.Handler
	body := `{"name":"x","ip":"192.0.2.1","port":"1","protocol":"tcp","timestamp":"1"}`
	put := func() {
		before := time.Now().UnixMilli()
		for time.Now().UnixMilli() == before { // renewed at another millisecond
		}
		req := request("PUT", "/v1/peers/x", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(httptest.NewRecorder(), req)
	}
	h = New(s, Options{Dial: func(context.Context, string) error {
		put()
		return errors.New("refused")
	}})
	put()
	ask(h, "DELETE", "/v1/peers/x?reason=dead", "")
	if got, err := s.View(t.Context()); err != nil || len(got.Peers) != 1 {
		t.Errorf("a peer that renewed meanwhile was removed: %+v, %v", got, err)
	}
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(store.NewMemory(3, 2), Options{TTL: time.Minute, LegacyTTL: time.Hour})
		put := func(id string) {
			req := request("PUT", "/v1/peers/"+id, strings.NewReader(`{"name":"x","ip":"192.0.2.1","port":"1","protocol":"tcp","timestamp":"1"}`))
			req.Header.Set("Content-Type", "application/json")
			h.ServeHTTP(httptest.NewRecorder(), req)
		}
		ids := func() string {
			d, err := bootstrap.Decode(ask(h, "GET", "/list", "").Body.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			var s string
			for _, id := range []string{"renews", "silent", "legacy"} {
				if _, ok := d.Peers[id]; ok {
					s += id + " "
				}
			}
			return s
		}
		put("renews")
		put("silent")
		ask(h, "POST", "/join", "legacy x 192.0.2.1 1 tcp 0 1")
		time.Sleep(40 * time.Second)
		put("renews")
		time.Sleep(20 * time.Second)
		if got := ids(); got != "renews legacy " {
			t.Errorf("after a minute: %s", got)
		}
		time.Sleep(59 * time.Minute)
		if got := ids(); got != "" {
			t.Errorf("after an hour: %s", got)
		}
	})
}

func FuzzParseOffer(f *testing.F) {
	f.Add([]byte(`{"id":"a","name":"b","ip":"192.0.2.1","port":"1","protocol":"tcp","timestamp":"1","view":"v","gone":["x"]}`), "a")
	f.Add([]byte(`{"name":7}`), "")
	f.Fuzz(func(t *testing.T, body []byte, id string) {
		o, err := parseOffer(body, id)
		if err != nil {
			checkError(t, string(body), err)
			return
		}
		if err := o.Validate(); err != nil || id != "" && o.ID != id {
			t.Fatalf("%q gave %+v: %v", body, o, err)
		}
	})
}

func FuzzParseConfigJSON(f *testing.F) {
	f.Add([]byte(`{"maxpeers":2,"minrefillcandidates":2}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := parseConfigJSON(body)
		if err != nil {
			checkError(t, string(body), err)
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("%q gave %+v: %v", body, c, err)
		}
	})
}
