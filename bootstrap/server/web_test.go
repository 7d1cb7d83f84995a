package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"peerlab/bootstrap/store"
)

var (
	allMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
	noGet      = []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
)

const jsonBob = `{"id":"bob","name":"bob","ip":"192.0.2.1","port":"1","protocol":"tcp","timestamp":"1"}`

// routes are all there are, with what each takes.
var routes = []struct {
	path, body string
	methods    []string
	role       role
}{
	{"/ping", "", allMethods, nobody},
	{"/healthz", "", []string{"GET", "HEAD"}, nobody},
	{"/readyz", "", []string{"GET", "HEAD"}, nobody},
	{"/v1/openapi.json", "", []string{"GET"}, nobody},
	{"/", "", []string{"GET"}, reader},
	{"/metrics", "", []string{"GET"}, reader},
	{"/list", "", allMethods, reader},
	{"/join", bob, allMethods, writer},
	{"/refill", bob, allMethods, writer},
	{"/leave", "x", allMethods, writer},
	{"/reset", "", noGet, administrator},
	{"/config", "2 2", noGet, administrator},
	{"/v1/peers", "", []string{"GET"}, reader},
	{"/v1/peers", "", []string{"DELETE"}, administrator},
	{"/v1/peers/bob", "", []string{"GET"}, reader},
	{"/v1/peers/bob", jsonBob, []string{"PUT"}, writer},
	{"/v1/peers/bob", "", []string{"DELETE"}, writer},
	{"/v1/refill", jsonBob, []string{"POST"}, writer},
	{"/v1/config", "", []string{"GET"}, reader},
	{"/v1/config", `{"maxpeers":2,"minrefillcandidates":2}`, []string{"PUT"}, administrator},
}

// TestWhoMayDoWhat asks for every path by every method, from a peer, from curl
// and from web pages, by every kind of name, with every token, of services with
// every kind of tokens.
func TestWhoMayDoWhat(t *testing.T) {
	senders := []struct {
		name, origin, site string
		foreign            bool
	}{
		{"a peer or curl", "", "", false},
		{"an address typed into a browser", "", "none", false},
		{"a page of this service", "http://HOST", "same-origin", false},
		{"a page of this service in an old browser", "http://HOST", "", false},
		{"another page", "http://evil.example", "cross-site", true},
		{"another page, the service not at a trustworthy URL", "http://evil.example", "", true},
		{"a page in a sandbox", "null", "", true},
		{"a link or an image of another page", "", "cross-site", true},
		{"another port of this host", "http://192.0.2.1:9090", "same-site", true},
	}
	hosts := []struct {
		host    string
		foreign bool
	}{
		{"192.0.2.1:8080", false},
		{"lab.example:8080", false}, // --host lab.example
		{"evil.example:8080", true},
	}
	lines := map[role]string{reader: "read " + readToken, writer: "write " + writeToken, administrator: "admin " + adminToken}
	services := []struct {
		tokens []role
		open   role // the most that takes no token
	}{
		{nil, administrator},
		{[]role{reader}, nobody},
		{[]role{writer}, reader},
		{[]role{administrator}, writer},
		{[]role{reader, writer, administrator}, nobody},
	}
	sent := map[role]string{nobody: "", reader: readToken, writer: writeToken, administrator: adminToken}

	for _, service := range services {
		var text strings.Builder
		for _, r := range service.tokens {
			fmt.Fprintln(&text, lines[r])
		}
		t.Run(strings.ReplaceAll(text.String(), "\n", ", "), func(t *testing.T) {
			h := New(store.NewMemory(2, 2), Options{AllowLoopback: true, Tokens: tokens(t, text.String()), Hosts: []string{"lab.example"}})
			wrong := 0
			for _, route := range routes {
				for _, method := range route.methods {
					for _, sender := range senders {
						for _, host := range hosts {
							for role, token := range sent {
								held := nobody
								if slices.Contains(service.tokens, role) {
									held = role
								}
								want := "lets through"
								switch {
								case route.role >= writer && sender.foreign:
									want = "403"
								case route.role > service.open && held == nobody:
									want = "401"
								case route.role > service.open && held < route.role:
									want = "403"
								case route.role <= service.open && route.role > nobody && host.foreign:
									want = "403"
								}
								r := httptest.NewRequest(method, route.path, strings.NewReader(route.body))
								r.Host = host.host
								r.Header.Set("Content-Type", "application/json")
								if sender.origin != "" {
									r.Header.Set("Origin", strings.ReplaceAll(sender.origin, "HOST", host.host))
								}
								if sender.site != "" {
									r.Header.Set("Sec-Fetch-Site", sender.site)
								}
								if token != "" {
									r.Header.Set("Authorization", "Bearer "+token)
								}
								w := httptest.NewRecorder()
								h.ServeHTTP(w, r)
								got := fmt.Sprint(w.Code)
								if w.Code == 200 || w.Code == 404 { // nobody of that name is registered
									got = "lets through"
								}
								if got == want {
									continue
								}
								if wrong++; wrong <= 10 {
									t.Errorf("%s %s from %s by %q with token %q: %d, want %s: %.80s",
										method, route.path, sender.name, host.host, token, w.Code, want, w.Body)
								}
							}
						}
					}
				}
			}
			if wrong > 10 {
				t.Errorf("and %d more", wrong-10)
			}
		})
	}
}

// TestMethods: every path refuses every method that it is not there for, and
// says which it is there for.
func TestMethods(t *testing.T) {
	taken := make(map[string][]string)
	for _, route := range routes {
		taken[route.path] = append(taken[route.path], route.methods...)
	}
	h := New(store.NewMemory(2, 2), Options{AllowLoopback: true})
	for path, methods := range taken {
		for _, method := range allMethods {
			w := ask(h, method, path, "")
			allowed := strings.Split(w.Header().Get("Allow"), ", ")
			slices.Sort(allowed)
			if want := slices.Sorted(slices.Values(methods)); slices.Contains(methods, method) == (w.Code == 405) ||
				w.Code == 405 && !slices.Equal(allowed, want) {
				t.Errorf("%s %s: %d, allow %q, want %q", method, path, w.Code, allowed, want)
			}
		}
	}
}

func TestIsOwnHost(t *testing.T) {
	names := []string{"bootstrap.example.com", "other.example."}
	for host, want := range map[string]bool{
		"192.0.2.1":                    true,
		"192.0.2.1:8080":               true,
		"[2001:db8::1]":                true,
		"[2001:db8::1]:8080":           true,
		"localhost:8080":               true,
		"bootstrap":                    true,
		"bootstrap.:8080":              true,
		"":                             true, // HTTP/1.0; no browser leaves it out
		"Bootstrap.Example.COM:8080":   true,
		"bootstrap.example.com.":       true,
		"other.example:1":              true,
		"evil.example":                 false,
		"evil.example:8080":            false,
		"192.0.2.1.evil.example:8080":  false,
		"x.bootstrap.example.com:8080": false,
		"bootstrap.example.com.evil":   false,
		"localhost.evil.example":       false,
		"[2001:db8::1].evil.example":   false,
		"192.0.2.1@evil.example":       false,
	} {
		if got := isOwnHost(host, names); got != want {
			t.Errorf("%q: %t, want %t", host, got, want)
		}
	}
}

// TestWebPageCannotEmptyTheList is the attack itself, on a service without
// tokens, as make up starts it.
func TestWebPageCannotEmptyTheList(t *testing.T) {
	h := New(store.NewMemory(2, 2), Options{AllowLoopback: true})
	ask(h, "POST", "/join", bob)
	want := ask(h, "GET", "/list", "").Body.String()
	for _, attack := range []struct{ name, method, path, body, header, value string }{
		{"an image", "GET", "/reset", "", "Referer", "http://evil.example/"},
		{"a fetch without CORS", "HEAD", "/reset", "", "Referer", "http://evil.example/"},
		{"a form", "POST", "/join", "x evil 203.0.113.1 1 tcp 0 1", "Origin", "http://evil.example"},
		{"a form that leaves", "POST", "/leave", bob[:36], "Origin", "null"},
		{"a form that closes the service", "POST", "/config", "0 0", "Origin", "http://evil.example"},
		{"what a browser asks before a PUT", "OPTIONS", "/reset", "", "Origin", "http://evil.example"},
		{"a name that leads here", "DELETE", "/v1/peers", "", "Host", "evil.example:8080"},
		{"a name that leads here, old API", "POST", "/reset", "", "Host", "evil.example:8080"},
	} {
		r := request(attack.method, attack.path, strings.NewReader(attack.body))
		r.Header.Set(attack.header, attack.value)
		if attack.header == "Host" {
			r.Host = attack.value
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := ask(h, "GET", "/list", "").Body.String(); got != want {
			t.Errorf("%s: %d, and the list is now %s", attack.name, w.Code, got)
			ask(h, "POST", "/reset", "")
			ask(h, "POST", "/config", "2 2")
			ask(h, "POST", "/join", bob)
		}
	}
}

// TestHostOverTLS: the certificate has told the client that this is the host
// it wants, so that no page can have a name of its own lead here.
func TestHostOverTLS(t *testing.T) {
	srv := httptest.NewTLSServer(New(store.NewMemory(2, 2), Options{}))
	defer srv.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/v1/peers", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "bootstrap.example.com"
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
}
