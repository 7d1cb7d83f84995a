package servertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"peerlab/bootstrap"
)

// The bytes that deployed peers are answered, written out in full.
const (
	emptyAnswer = `{
  "Config": {
    "maxpeers": 2,
    "minrefillcandidates": 2
  },
  "Peers": {}
}`
	bobAnswer = `{
  "Config": {
    "maxpeers": 2,
    "minrefillcandidates": 2,
    "numpeers": 1
  },
  "Peers": {
    "71c3c0ea-e1bd-4112-97ac-1cfeeaa07bc3": {
      "id": "71c3c0ea-e1bd-4112-97ac-1cfeeaa07bc3",
      "name": "bob",
      "ip": "127.0.0.1",
      "port": "56471",
      "protocol": "tcp",
      "status": "0",
      "timestamp": "1557509977"
    }
  }
}`
	bothAnswer = `{
  "Config": {
    "maxpeers": 2,
    "minrefillcandidates": 2,
    "numpeers": 2
  },
  "Peers": {
    "71c3c0ea-e1bd-4112-97ac-1cfeeaa07bc3": {
      "id": "71c3c0ea-e1bd-4112-97ac-1cfeeaa07bc3",
      "name": "bob",
      "ip": "127.0.0.1",
      "port": "56471",
      "protocol": "tcp",
      "status": "0",
      "timestamp": "1557509977"
    },
    "uuid1": {
      "id": "uuid1",
      "name": "alice",
      "ip": "2001:db8::1",
      "port": "7946",
      "protocol": "tcp",
      "timestamp": "1557509978"
    }
  }
}`
	zeroAnswer = `{
  "Config": {
    "numpeers": 1
  },
  "Peers": {
    "71c3c0ea-e1bd-4112-97ac-1cfeeaa07bc3": {
      "id": "71c3c0ea-e1bd-4112-97ac-1cfeeaa07bc3",
      "name": "bob",
      "ip": "127.0.0.1",
      "port": "56471",
      "protocol": "tcp",
      "status": "0",
      "timestamp": "1557509977"
    }
  }
}`
	nothingAnswer = `{
  "Config": {},
  "Peers": {}
}`

	bob = "71c3c0ea-e1bd-4112-97ac-1cfeeaa07bc3 bob 127.0.0.1 56471 tcp 0 1557509977"
)

func golden(t *testing.T, s Service) {
	for i, step := range []struct{ path, body, want string }{
		{"/ping", "", "OK"},
		{"/list", "", emptyAnswer},
		{"/join", bob, bobAnswer},
		// Two spaces: deployed peers refill without a status.
		{"/refill", "uuid1 alice 2001:db8::1 7946 tcp  1557509978", bothAnswer},
		{"/join", "uuid2 charly 127.0.0.1 22365 tcp 0 0", bothAnswer},
		{"/refill", "uuid2 charly 127.0.0.1 22365 tcp 0 1557509979", bothAnswer},
		{"/leave", "unknown", bothAnswer},
		{"/leave", "uuid1\n", bobAnswer},
		{"/config", "0 0", zeroAnswer},
		{"/reset", "", nothingAnswer},
		{"/config", "2 2\r\n", emptyAnswer},
		{"/join", bob + " and words beyond those expected\n", bobAnswer},
		{"/list", "a body nobody reads", bobAnswer},
	} {
		w := s.ask(t, http.MethodPost, step.path, step.body)
		if w.Code != http.StatusOK || w.Body != step.want {
			t.Fatalf("step %d, %s: status %d\n%s\nwant\n%s", i, step.path, w.Code, w.Body, step.want)
		}
	}
}

func anyMethod(t *testing.T, s Service) {
	for _, path := range []string{"/ping", "/join", "/leave", "/refill", "/list", "/reset", "/config"} {
		body := map[string]string{"/join": bob, "/refill": bob, "/leave": "x", "/config": "2 2"}[path]
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			want := http.StatusOK
			if (path == "/reset" || path == "/config") && (method == "GET" || method == "HEAD") {
				want = http.StatusMethodNotAllowed // what a link or an image of a web page can send
			}
			w := s.ask(t, method, path, body)
			if w.Code != want {
				t.Errorf("%s %s: status %d, want %d: %s", method, path, w.Code, want, w.Body)
			}
			if allow := w.Header.Get("Allow"); (want == http.StatusOK) != (allow == "") || strings.Contains(allow, "GET") {
				t.Errorf("%s %s: allow %q", method, path, allow)
			}
		}
	}
}

// otherSites: whatever changes the list is refused to pages of other sites,
// by every method.
func otherSites(t *testing.T, s Service) {
	s.ask(t, "POST", "/join", bob)
	for _, header := range [][2]string{
		{"Origin", "http://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
	} {
		for path, body := range map[string]string{
			"/join": "x evil 203.0.113.1 1 tcp 0 1", "/refill": "x evil 203.0.113.1 1 tcp 0 1",
			"/leave": bob[:36], "/reset": "", "/config": "0 0",
		} {
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
				if w := s.send(t, method, path, body, header[0], header[1]); w.Code != http.StatusForbidden {
					t.Errorf("%s %s with %v: status %d: %s", method, path, header, w.Code, w.Body)
				}
			}
		}
		for _, r := range [][3]string{
			{"PUT", "/v1/peers/alice", alice("1")},
			{"DELETE", "/v1/peers/" + bob[:36], ""},
			{"POST", "/v1/refill", alice("1")},
			{"PUT", "/v1/config", `{"maxpeers":0,"minrefillcandidates":0}`},
			{"DELETE", "/v1/peers", ""},
		} {
			if w := s.send(t, r[0], r[1], r[2], header[0], header[1]); w.Code != http.StatusForbidden {
				t.Errorf("%s %s with %v: status %d: %s", r[0], r[1], header, w.Code, w.Body)
			}
		}
	}
	if got := s.ask(t, "POST", "/list", "").Body; got != bobAnswer {
		t.Errorf("a web page left\n%s", got)
	}
	if w := s.send(t, "POST", "/leave", "x", "Origin", s.base, "Sec-Fetch-Site", "same-origin"); w.Code != http.StatusOK {
		t.Errorf("a page of this service: status %d: %s", w.Code, w.Body)
	}
}

// emptyTimestamp: a deployed peer may send neither status nor timestamp; it counts
// as started now.
func emptyTimestamp(t *testing.T, s Service) {
	s.ask(t, http.MethodPost, "/reset", "")
	s.ask(t, http.MethodPost, "/config", "1 2")
	before := time.Now().Unix()
	for _, step := range []struct {
		path, body string
		id         string // then the only one on the list
	}{
		{"/join", "a alice 127.0.0.1 7946 tcp  ", "a"},
		{"/refill", "b bob 127.0.0.1 7947 tcp  \n", "a"},
		{"/leave", "a", ""},
		{"/refill", "b bob 127.0.0.1 7947 tcp 0 \r\n", "b"},
		{"/refill", "c charly 127.0.0.1 7948 tcp  1557509977", "c"},
	} {
		w := s.ask(t, http.MethodPost, step.path, step.body)
		var data bootstrap.Data
		if err := json.Unmarshal([]byte(w.Body), &data); w.Code != http.StatusOK || err != nil {
			t.Fatalf("%s %q: status %d: %s", step.path, step.body, w.Code, w.Body)
		}
		p, listed := data.Peers[step.id]
		if len(data.Peers) > 1 || listed != (step.id != "") {
			t.Errorf("%s %q left\n%s", step.path, step.body, w.Body)
		}
		if since, err := p.Since(); listed && step.id != "c" && (err != nil || since < before || since > time.Now().Unix()) {
			t.Errorf("%s %q counts as %q", step.path, step.body, p.Timestamp)
		}
	}
}

func badRequests(t *testing.T, s Service) {
	const want = "want ID NAME IP PORT PROTOCOL STATUS TIMESTAMP"
	tests := []struct {
		path, body string
		status     int
		text       string
	}{
		{"/join", "", 400, "missing ID NAME IP PORT PROTOCOL STATUS TIMESTAMP: " + want},
		{"/join", "\n", 400, "missing ID NAME"},
		{"/join", "id bob 127.0.0.1 7946 tcp", 400, "missing STATUS TIMESTAMP: " + want},
		{"/refill", "id bob 127.0.0.1 7946 tcp 0", 400, "missing TIMESTAMP: " + want},
		{"/join", "id  127.0.0.1 7946 tcp 0 1", 400, "name is missing"},
		{"/join", "id bob smith 127.0.0.1 7946 tcp 0 1", 400, `ip "smith" is no IP address`},
		{"/join", "id bob 127.0.0.1 70000 tcp 0 1", 400, `port "70000" is no number from 1 to 65535`},
		{"/refill", "id bob 127.0.0.1 7946 tcp 0 now", 400, `timestamp "now" is no number`},
		{"/join", "id bob\x1b[2J 127.0.0.1 7946 tcp 0 1", 400, `name "bob\x1b[2J" has`},
		{"/join", "i\td bob 127.0.0.1 7946 tcp 0 1", 400, `id "i\td" has`},
		{"/join", "id b\xffb 127.0.0.1 7946 tcp 0 1", 400, "not UTF-8"},
		{"/join", strings.Repeat("x", 4097), 413, "longer than 4096 bytes"},
		{"/leave", strings.Repeat("x", 4096), 400, "id is 4096 bytes long"},
		{"/leave", "", 400, "missing ID: want ID"},
		{"/leave", " id", 400, "id is missing"},
		{"/config", "", 400, "missing MAXPEERS MINREFILLCANDIDATES: want"},
		{"/config", "3", 400, "missing MINREFILLCANDIDATES: want"},
		{"/config", "three 1", 400, `maxpeers "three" is no number from 0 to 1000`},
		{"/config", "3 -1", 400, `minrefillcandidates "-1" is no number`},
		{"/config", "1001 1", 400, `maxpeers "1001"`},
		{"/config", strings.Repeat("9", 4000) + " 1", 400, "maxpeers"},
		{"/nothing", "", 404, "this service answers / /config /healthz /join /leave /list /metrics /ping /readyz /refill /reset /v1/config"},
		{"/", "", 405, "use GET"},
		{"/join/", bob, 404, "no such path"},
		{"/JOIN", bob, 404, "no such path"},
		{"/healthz", "", 405, "use GET, HEAD"},
	}
	s.ask(t, http.MethodPost, "/join", bob)
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s %.40q", test.path, test.body), func(t *testing.T) {
			w := s.ask(t, http.MethodPost, test.path, test.body)
			text := w.Body
			if w.Code != test.status || !strings.Contains(text, test.text) {
				t.Errorf("status %d, %q, want %d with %q", w.Code, text, test.status, test.text)
			}
			if strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") || strings.Contains(text, "\x1b") || len(text) > 400 {
				t.Errorf("not one short line: %q", text)
			}
			if got := s.ask(t, http.MethodPost, "/list", "").Body; got != bobAnswer {
				t.Errorf("a bad request left\n%s", got)
			}
		})
	}
	if w := s.ask(t, "BREW", "/join", bob); w.Code != 405 || !strings.Contains(w.Header.Get("Allow"), "POST") {
		t.Errorf("BREW /join: status %d, allow %q", w.Code, w.Header.Get("Allow"))
	}
	if w := s.ask(t, http.MethodPost, "/healthz", ""); w.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST /healthz: allow %q", w.Header.Get("Allow"))
	}
}
