package servertest

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"peerlab/bootstrap"
)

// offer is a body; where names a peer's address.
func offer(id, where, timestamp, view string, gone ...string) string {
	host, port, _ := net.SplitHostPort(where)
	b, err := json.Marshal(bootstrap.Offer{
		Peer: bootstrap.Peer{ID: id, Name: id, IP: host, Port: port, Protocol: "tcp", Timestamp: timestamp},
		View: view, Gone: gone,
	})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func alice(timestamp string) string { return offer("alice", "192.0.2.1:7946", timestamp, "") }

// list sends a request that is answered by a list, and returns that and the
// IDs in it.
func (s Service) list(t *testing.T, method, path, body string) (bootstrap.List, string) {
	t.Helper()
	a := s.send(t, method, path, body)
	var l bootstrap.List
	if err := json.Unmarshal([]byte(a.Body), &l); a.Code != http.StatusOK || err != nil {
		t.Fatalf("%s %s: status %d, %v, %s", method, path, a.Code, err, a.Body)
	}
	if l.Config.NumPeers != len(l.Peers) {
		t.Errorf("%s %s: numpeers %d of %d", method, path, l.Config.NumPeers, len(l.Peers))
	}
	var ids []string
	for _, p := range l.Peers {
		ids = append(ids, p.ID)
	}
	return l, strings.Join(ids, " ")
}

func registerAndRenew(t *testing.T, s Service) {
	l, ids := s.list(t, "PUT", "/v1/peers/alice", strings.Replace(alice("7"), `"id":"alice",`, "", 1))
	if !l.Listed || ids != "alice" || l.TTL <= 0 {
		t.Fatalf("%+v", l)
	}
	first := l.Peers[0]
	if ttl := first.Expires.Sub(first.Renewed); ttl != time.Duration(l.TTL)*time.Second || time.Since(first.Renewed).Abs() > time.Minute {
		t.Errorf("renewed %v, expires %v, TTL %d s", first.Renewed, first.Expires, l.TTL)
	}
	for { // until the clock has moved on
		l, _ = s.list(t, "PUT", "/v1/peers/alice", alice("7"))
		if again := l.Peers[0]; again.Renewed.After(first.Renewed) {
			if !again.Registered.Equal(first.Registered) || !again.Expires.After(first.Expires) {
				t.Errorf("renewed to %+v from %+v", again, first)
			}
			break
		}
	}
	if _, ids = s.list(t, "PUT", "/v1/peers/bob", offer("bob", "192.0.2.2:1", "5", "")); ids != "bob alice" {
		t.Errorf("%s, want the longest-running first", ids)
	}
	if l, ids = s.list(t, "PUT", "/v1/peers/charly", offer("charly", "192.0.2.3:1", "1", "")); l.Listed || ids != "bob alice" {
		t.Errorf("a full list took %s", ids)
	}
	if l, _ = s.list(t, "PUT", "/v1/peers/alice", offer("alice", "192.0.2.9:1", "7", "")); !l.Listed || l.Peers[1].IP != "192.0.2.9" {
		t.Errorf("a full list does not renew: %+v", l)
	}
	if a := s.send(t, "GET", "/v1/peers/alice", ""); !strings.Contains(a.Body, "192.0.2.9") {
		t.Errorf("%+v", a)
	}
	if _, ids = s.list(t, "DELETE", "/v1/peers/alice", ""); ids != "bob" {
		t.Errorf("after alice left: %s", ids)
	}
	if _, ids = s.list(t, "DELETE", "/v1/peers/alice", ""); ids != "bob" {
		t.Errorf("after alice left again: %s", ids)
	}
	if a := s.send(t, "GET", "/v1/peers/alice", ""); a.Code != 404 {
		t.Errorf("alice is still there: %s", a.Body)
	}
	// IDs that a path has to escape.
	for _, id := range []string{"a/b", "a%b", "a%2Fb", "ü?#"} {
		path := "/v1/peers/" + escape(id)
		if l, _ := s.list(t, "PUT", path, offer(id, "192.0.2.1:1", "9", "")); !l.Listed {
			t.Errorf("%s: %+v", id, l)
		}
		if a := s.send(t, "GET", path, ""); a.Code != 200 {
			t.Errorf("%s: %+v", id, a)
		}
		if _, ids := s.list(t, "DELETE", path, ""); ids != "bob" {
			t.Errorf("%s: %s stay", id, ids)
		}
	}
	if l, ids := s.list(t, "DELETE", "/v1/peers", ""); ids != "" || l.Config.MaxPeers != 2 {
		t.Errorf("after a reset: %+v", l)
	}
}

// minimal: a renewal may be answered without the peers, which the sender knows.
func minimal(t *testing.T, s Service) {
	put := func(id, addr string, header ...string) (answer, bootstrap.List) {
		t.Helper()
		a := s.send(t, "PUT", "/v1/peers/"+id, offer(id, addr, "5", ""), header...)
		var l bootstrap.List
		if err := json.Unmarshal([]byte(a.Body), &l); a.Code != http.StatusOK || err != nil {
			t.Fatalf("status %d, %v, %s", a.Code, err, a.Body)
		}
		return a, l
	}
	_, full := put("alice", "192.0.2.1:1")
	for _, prefer := range []string{"return=minimal", `respond-async, Return="minimal"; x=y`} {
		a, l := put("alice", "192.0.2.9:1", "Prefer", prefer)
		if l.Peers != nil || !l.Listed || l.TTL != full.TTL || l.Config != full.Config || a.Header.Get("Preference-Applied") != "return=minimal" {
			t.Errorf("%s: %s, %v", prefer, a.Body, a.Header)
		}
	}
	for _, prefer := range []string{"", "return=representation", "x=return=minimal", "return"} {
		if a, l := put("alice", "192.0.2.9:1", "Prefer", prefer); len(l.Peers) != 1 || l.Peers[0].IP != "192.0.2.9" || a.Header.Get("Preference-Applied") != "" {
			t.Errorf("%s: %s, %v", prefer, a.Body, a.Header)
		}
	}
	// Who is not listed needs the list.
	put("bob", "192.0.2.2:1")
	if a, l := put("charly", "192.0.2.3:1", "Prefer", "return=minimal"); l.Listed || len(l.Peers) != 2 || a.Header.Get("Preference-Applied") != "" {
		t.Errorf("%s, %v", a.Body, a.Header)
	}
	// Other requests are answered as ever.
	if a := s.send(t, "GET", "/v1/peers", "", "Prefer", "return=minimal"); !strings.Contains(a.Body, "192.0.2.9") {
		t.Errorf("%s", a.Body)
	}
}

// escape writes every byte of an ID in hexadecimal.
func escape(id string) string {
	var b strings.Builder
	for _, c := range []byte(id) {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

func bothAPIs(t *testing.T, s Service) {
	s.send(t, "POST", "/join", bob)
	if _, ids := s.list(t, "GET", "/v1/peers", ""); ids != "71c3c0ea-e1bd-4112-97ac-1cfeeaa07bc3" {
		t.Errorf("/v1 shows %s", ids)
	}
	if a := s.send(t, "GET", "/v1/peers/71c3c0ea-e1bd-4112-97ac-1cfeeaa07bc3", ""); !strings.Contains(a.Body, `"status":"0"`) {
		t.Errorf("%+v", a)
	}
	if a := s.send(t, "PUT", "/v1/config", `{"maxpeers":5,"minrefillcandidates":0}`); a.Code != 200 || a.Body != `{"maxpeers":5,"numpeers":1}` {
		t.Errorf("%+v", a)
	}
	if a := s.send(t, "GET", "/v1/config", ""); a.Body != `{"maxpeers":5,"numpeers":1}` {
		t.Errorf("%+v", a)
	}
	s.send(t, "PUT", "/v1/peers/alice", alice("5"))
	a := s.send(t, "POST", "/list", "")
	if d, err := bootstrap.Decode([]byte(a.Body)); err != nil || d.Config.MaxPeers != 5 || len(d.Peers) != 2 || d.Peers["alice"].IP != "192.0.2.1" {
		t.Errorf("%s, %v", a.Body, err)
	}
}

// answering returns the address of something that accepts connections, and a
// function to end it.
func answering(t *testing.T) (string, func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // again is an error and harmless
	return l.Addr().String(), func() { _ = l.Close() }
}

func refill(t *testing.T, s Service) {
	alive, _ := answering(t)
	dead, end := answering(t)
	end()
	s.list(t, "PUT", "/v1/peers/alive", offer("alive", alive, "5", ""))
	s.list(t, "PUT", "/v1/peers/dead", offer("dead", dead, "6", ""))
	// A report of the living changes nothing; the newest candidate waits.
	if l, ids := s.list(t, "POST", "/v1/refill", offer("new", "192.0.2.1:1", "9", "", "alive", "unknown")); l.Listed || ids != "alive dead" {
		t.Errorf("%s", ids)
	}
	// The dead makes room.
	if l, ids := s.list(t, "POST", "/v1/refill", offer("new", "192.0.2.1:1", "9", "", "dead", "alive")); !l.Listed || ids != "alive new" {
		t.Errorf("%s", ids)
	}
	// An older candidate replaces the newest.
	if l, ids := s.list(t, "POST", "/v1/refill", offer("old", "192.0.2.1:2", "1", "")); !l.Listed || ids != "old alive" {
		t.Errorf("%s", ids)
	}
}

func deadReport(t *testing.T, s Service) {
	addr, end := answering(t)
	s.list(t, "PUT", "/v1/peers/x", offer("x", addr, "5", ""))
	if a := s.send(t, "DELETE", "/v1/peers/x?reason=dead", ""); a.Code != 409 || !strings.Contains(a.Body, "it stays") {
		t.Errorf("the living was removed: %+v", a)
	}
	// Another address is another question: the verdict on the first stands for
	// some seconds.
	end()
	gone, end := answering(t)
	end()
	s.list(t, "PUT", "/v1/peers/x", offer("x", gone, "5", ""))
	if _, ids := s.list(t, "DELETE", "/v1/peers/x?reason=dead", ""); ids != "" {
		t.Errorf("the dead stays: %s", ids)
	}
	if _, ids := s.list(t, "DELETE", "/v1/peers/unknown?reason=dead", ""); ids != "" {
		t.Errorf("%s", ids)
	}
}

func parts(t *testing.T, s Service) {
	s.list(t, "PUT", "/v1/peers/a", offer("a", "192.0.2.1:1", "1", "left"))
	s.list(t, "PUT", "/v1/peers/b", offer("b", "192.0.2.1:2", "2", "left"))
	if _, ids := s.list(t, "PUT", "/v1/peers/c", offer("c", "192.0.2.1:3", "0", "left")); ids != "a b" {
		t.Errorf("%s", ids)
	}
	if l, ids := s.list(t, "PUT", "/v1/peers/d", offer("d", "192.0.2.1:4", "9", "right")); !l.Listed || ids != "a d" {
		t.Errorf("the other part has no voice: %s", ids)
	}
	if _, ids := s.list(t, "POST", "/v1/refill", offer("c", "192.0.2.1:3", "5", "left")); ids != "a d" {
		t.Errorf("the other part lost its voice: %s", ids)
	}
}

func problems(t *testing.T, s Service) {
	for _, test := range []struct {
		method, path, body string
		status             int
		detail             string
	}{
		{"PUT", "/v1/peers/alice", "", 400, "not the JSON object"},
		{"PUT", "/v1/peers/alice", "[1]", 400, "wrong type"},
		{"PUT", "/v1/peers/alice", `{"port":7946}`, 400, "wrong type"},
		{"PUT", "/v1/peers/alice", "{}", 400, "name is missing"},
		{"PUT", "/v1/peers/bob", alice("1"), 400, "not the one in the path"},
		{"PUT", "/v1/peers/alice", offer("alice", "0.0.0.0:1", "1", ""), 400, "no address of one host"},
		{"PUT", "/v1/peers/alice", offer("alice", "169.254.169.254:80", "1", ""), 400, "no address of one host"},
		{"PUT", "/v1/peers/alice", offer("alice", "[::ffff:224.0.0.1]:80", "1", ""), 400, "no address of one host"},
		{"PUT", "/v1/peers/alice", offer("alice", "192.0.2.1:1", "1", "a view"), 400, "view"},
		{"PUT", "/v1/peers/alice", offer("alice", "192.0.2.1:1", "1", "", "x"), 400, "belongs into a refill"},
		{"POST", "/v1/refill", strings.Replace(alice("1"), `"id":"alice",`, "", 1), 400, "id is missing"},
		{"POST", "/v1/refill", offer("alice", "192.0.2.1:1", "1", "", "alice"), 400, "names the sender"},
		{"POST", "/v1/refill", offer("alice", "192.0.2.1:1", "1", "", make([]string, 65)...), 400, "at most 64"},
		{"POST", "/v1/refill", strings.Repeat(" ", 5000), 413, "longer than 4096"},
		{"PUT", "/v1/config", `{"maxpeers":3}`, 400, "want maxpeers and minrefillcandidates"},
		{"PUT", "/v1/config", `{"maxpeers":-1,"minrefillcandidates":1}`, 400, "0 to 1000"},
		{"GET", "/v1/peers/nobody", "", 404, "no such peer"},
		{"DELETE", "/v1/peers/nobody?reason=boredom", "", 400, "want dead"},
		{"GET", "/v1/nothing", "", 404, "no such path"},
		{"POST", "/v1/config", "", 405, "use GET, PUT"},
	} {
		a := s.send(t, test.method, test.path, test.body)
		var p bootstrap.Problem
		err := json.Unmarshal([]byte(a.Body), &p)
		if err != nil || a.Code != test.status || p.Status != test.status || !strings.Contains(p.Detail, test.detail) ||
			p.Title != http.StatusText(test.status) || p.Type != "about:blank" || p.Instance == "" ||
			p.Instance != a.Header.Get("X-Request-Id") || a.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s %.80s: %d %+v, %v, want %d %q", test.method, test.path, test.body, a.Code, p, err, test.status, test.detail)
		}
	}
	if a := s.send(t, "PUT", "/v1/peers/alice", alice("1"), "Content-Type", "text/plain"); a.Code != 415 {
		t.Errorf("a body of text: %+v", a)
	}
	if _, ids := s.list(t, "GET", "/v1/peers", ""); ids != "" {
		t.Errorf("bad requests left %s", ids)
	}
}

func compression(t *testing.T, s Service) {
	plain := s.send(t, "GET", "/v1/peers", "")
	a := s.send(t, "GET", "/v1/peers", "", "Accept-Encoding", "gzip")
	if plain.Header.Get("Content-Encoding") != "" || a.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("encodings %q and %q", plain.Header.Get("Content-Encoding"), a.Header.Get("Content-Encoding"))
	}
	z, err := gzip.NewReader(strings.NewReader(a.Body))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); err != nil || string(b) != plain.Body {
		t.Errorf("%q, %v, want %q", b, err, plain.Body)
	}
	if a := s.send(t, "POST", "/list", "", "Accept-Encoding", "gzip"); a.Body != emptyAnswer {
		t.Errorf("the legacy API's bytes changed: %q", a.Body)
	}
}

func page(t *testing.T, s Service) {
	s.list(t, "PUT", "/v1/peers/alice", strings.Replace(alice("1557509977"), `"name":"alice"`, `"name":"<b>alice</b>"`, 1))
	a := s.send(t, "GET", "/", "")
	for _, want := range []string{"192.0.2.1:7946", `http-equiv="refresh"`, "&lt;b&gt;alice", "1 of at most 2"} {
		if a.Code != 200 || !strings.Contains(a.Body, want) {
			t.Errorf("%q is not in the page: %d %s", want, a.Code, a.Body)
		}
	}
	if strings.Contains(a.Body, "<script") || strings.Contains(a.Body, "<b>alice") {
		t.Errorf("scripts or unescaped text: %s", a.Body)
	}
	if a := s.send(t, "GET", "/metrics", ""); !strings.Contains(a.Body, "bootstrap_peers 1") || !strings.Contains(a.Body, `route="/v1/peers/{id}"`) {
		t.Errorf("metrics: %d %s", a.Code, a.Body)
	}
}
