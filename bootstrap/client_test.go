package bootstrap_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"peerlab/bootstrap"
	"peerlab/bootstrap/server"
	"peerlab/bootstrap/store"
)

// dial returns a client of a server with this handler; both end with the test.
func dial(t *testing.T, h http.Handler) *bootstrap.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	c, err := bootstrap.NewClient(srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.CloseIdle()
		srv.Close()
	})
	return c
}

func TestClientAgainstServer(t *testing.T) {
	ctx := t.Context()
	c := dial(t, server.NewHandler(store.NewMemory(1, 2), slog.New(slog.DiscardHandler)))
	peer := func(name, since string) bootstrap.Peer {
		p := bob()
		p.ID, p.Name, p.Timestamp = "id-"+name, name, since
		return p
	}
	// check compares one answer with the names and the configuration expected.
	check := func(what string, d bootstrap.Data, err error, want bootstrap.Config, names ...string) {
		t.Helper()
		want.NumPeers = len(names)
		if err != nil || d.Config != want || len(d.Peers) != len(names) {
			t.Fatalf("%s: got %+v, %v, want %+v with %q", what, d, err, want, names)
		}
		for _, name := range names {
			if d.Peers["id-"+name].Name != name {
				t.Errorf("%s: %s is not in %+v", what, name, d.Peers)
			}
		}
	}
	if err := c.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	cfg := bootstrap.Config{MaxPeers: 1, MinRefillCandidates: 2}
	d, err := c.List(ctx)
	check("list", d, err, cfg)
	d, err = c.Join(ctx, peer("alice", "10"))
	check("join", d, err, cfg, "alice")
	if d.Peers["id-alice"] != peer("alice", "10") {
		t.Errorf("joined %+v, stored %+v", peer("alice", "10"), d.Peers)
	}
	d, err = c.Join(ctx, peer("bob", "1"))
	check("join when full", d, err, cfg, "alice")
	d, err = c.Refill(ctx, peer("charly", "11"))
	check("refill by a newer one", d, err, cfg, "alice")
	d, err = c.Refill(ctx, peer("charly", "9"))
	check("refill by an older one", d, err, cfg, "charly")
	cfg = bootstrap.Config{MaxPeers: 3, MinRefillCandidates: 0}
	d, err = c.SetConfig(ctx, 3, 0)
	check("config", d, err, cfg, "charly")
	nobody := peer("dave", "12")
	nobody.Status = "" // as deployed peers refill
	d, err = c.Refill(ctx, nobody)
	check("refill without status", d, err, cfg, "charly", "dave")
	if d.Peers["id-dave"] != nobody {
		t.Errorf("stored %+v, want %+v", d.Peers["id-dave"], nobody)
	}
	d, err = c.Leave(ctx, "id-unknown")
	check("leave of an unknown one", d, err, cfg, "charly", "dave")
	d, err = c.Leave(ctx, "id-charly")
	check("leave", d, err, cfg, "dave")
	d, err = c.Reset(ctx)
	check("reset", d, err, cfg)
}

func TestClientRefusesBeforeSending(t *testing.T) {
	ctx := t.Context()
	c := dial(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was sent", r.URL.Path)
	}))
	p := bob()
	p.Name = "bob 127.0.0.1 1 tcp 0 0" // would shift the words
	for what, call := range map[string]func() (bootstrap.Data, error){
		"join":   func() (bootstrap.Data, error) { return c.Join(ctx, p) },
		"refill": func() (bootstrap.Data, error) { return c.Refill(ctx, p) },
		"leave":  func() (bootstrap.Data, error) { return c.Leave(ctx, "") },
		"config": func() (bootstrap.Data, error) { return c.SetConfig(ctx, -1, bootstrap.Limit) },
	} {
		if _, err := call(); err == nil || !strings.HasPrefix(err.Error(), "bootstrap "+c.URL()+": "+what+": ") {
			t.Errorf("%s: error %v", what, err)
		}
	}
}

func TestClientErrors(t *testing.T) {
	write := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		}
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"status and text", write(500, "broken disk\nsecond line"), `status 500: "broken disk…"`},
		{"no text", write(404, ""), "status 404: nothing"},
		{"text that acts on a terminal", write(400, "\x1b[2J"), "status 400: \"\uFFFD[2J\""},
		{"endless text", write(400, strings.Repeat("é", 10000)), "éé…"},
		{"some other service", write(200, "<html>Welcome</html>"), "is this a bootstrap service?"},
		{"some other JSON", write(200, `{"status":"ok"}`), "no Config"},
		{"too long", write(200, strings.Repeat(" ", 5<<20)), "longer than 4194304 bytes"},
		{"redirect", http.RedirectHandler("https://elsewhere/list", http.StatusFound).ServeHTTP, `redirected to "https://elsewhere/list"`},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		}, "unexpected EOF"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := dial(t, test.handler)
			_, err := c.List(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			if text := err.Error(); !strings.Contains(text, test.want) || !strings.HasPrefix(text, "bootstrap "+c.URL()+": list: ") ||
				len(text) > 500 || strings.ContainsAny(text, "\n\x1b") {
				t.Errorf("error %q, want one line with %q", text, test.want)
			}
			if err := c.Ping(t.Context()); err == nil {
				t.Error("ping succeeded")
			}
		})
	}
}

func TestClientEndsWithContext(t *testing.T) {
	asked := make(chan struct{})
	c := dial(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice a client that leaves
		close(asked)
		<-r.Context().Done()
	}))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		<-asked
		cancel()
	}()
	if _, err := c.List(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context canceled", err)
	}
}

func TestClientNobodyListens(t *testing.T) {
	srv := httptest.NewServer(nil)
	url := srv.URL
	srv.Close()
	c, err := bootstrap.NewClient(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(t.Context()); err == nil || strings.Count(err.Error(), url) != 1 || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error %v, want one that names the URL once and the cause", err)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestClientRequest(t *testing.T) {
	broken := errors.New("broken")
	var got *http.Request
	var body string
	c, err := bootstrap.NewClient("http://user:secret@192.0.2.1:8080/base/", transport(func(r *http.Request) (*http.Response, error) {
		b, err := io.ReadAll(r.Body)
		got, body = r, string(b)
		return nil, errors.Join(err, broken)
	}))
	if err != nil {
		t.Fatal(err)
	}
	if c.URL() != "http://192.0.2.1:8080/base" {
		t.Errorf("URL() = %s", c.URL())
	}
	_, err = c.Join(t.Context(), bob())
	if !errors.Is(err, broken) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "user") {
		t.Errorf("error %v, want the cause and no user information", err)
	}
	if got.Method != http.MethodPost || got.URL.Path != "/base/join" ||
		got.Header.Get("Content-Type") != "application/x-www-form-urlencoded" ||
		body != "71c3c0ea-e1bd-4112-97ac-1cfeeaa07bc3 bob 127.0.0.1 56471 tcp 0 1557509977" {
		t.Errorf("sent %s %s %v %q", got.Method, got.URL, got.Header, body)
	}
	if user, password, _ := got.BasicAuth(); user != "user" || password != "secret" {
		t.Errorf("authentication %s:%s", user, password)
	}
}

func TestNewClient(t *testing.T) {
	for _, good := range []string{"http://bootstrap:8080", "https://h.example", "http://[::1]:80/", "HTTP://h"} {
		if _, err := bootstrap.NewClient(good, nil); err != nil {
			t.Errorf("%s refused: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "bootstrap", "bootstrap:8080", "localhost:8080", "127.0.0.1:8080", "/path", "ftp://h", "http://", "http://:8080",
		"http://h:x", "http://h:0", "http://h:65536", "http://h?q=1", "http://h#f", "http://a b", "http://u:secret@h:x", "u:secret@h", "http://u:secret@h:0",
		"http://h\n", "http://h\x1b[2J", "%zz",
	} {
		_, err := bootstrap.NewClient(bad, nil)
		if err == nil {
			t.Errorf("%q accepted", bad)
			continue
		}
		if text := err.Error(); strings.ContainsAny(text, "\n\x1b") || strings.Contains(text, "secret") ||
			!strings.HasPrefix(text, "bootstrap URL ") {
			t.Errorf("%q: error %q", bad, text)
		}
	}
}
