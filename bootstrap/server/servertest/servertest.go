// Package servertest is the test suite of the bootstrap service's HTTP API, to
// be run against whatever serves it.
package servertest

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Service is one service under test.
type Service struct {
	base    string
	client  *http.Client
	openAPI *document
}

// answer is one response, read whole.
type answer struct {
	Code   int
	Body   string
	Header http.Header
}

// API runs the whole suite. start is called for each test and returns the URL
// of a new service that keeps 2 peers, tells 2 as the number of refill
// candidates, accepts loopback addresses and wants no token.
func API(t *testing.T, start func(t *testing.T) string) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Service)
	}{
		{"legacy bytes", golden},
		{"legacy methods", anyMethod},
		{"legacy bad requests", badRequests},
		{"legacy empty timestamp", emptyTimestamp},
		{"pages of other sites", otherSites},
		{"documented", documented},
		{"register and renew", registerAndRenew},
		{"minimal answers", minimal},
		{"both APIs show one list", bothAPIs},
		{"refill", refill},
		{"dead report", deadReport},
		{"parts of a cluster", parts},
		{"problems", problems},
		{"compression", compression},
		{"page", page},
	} {
		t.Run(test.name, func(t *testing.T) {
			transport := &http.Transport{DisableCompression: true}
			defer transport.CloseIdleConnections()
			s := Service{base: start(t), client: &http.Client{Transport: transport}}
			s.openAPI = readDocument(t, s)
			test.run(t, s)
		})
	}
}

// send sends one request and holds an answer of /v1 against the document.
func (s Service) send(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(path, "/v1/") && body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{resp.StatusCode, string(b), resp.Header}
	if s.openAPI != nil && strings.HasPrefix(path, "/v1/") {
		s.openAPI.check(t, method, path, a)
	}
	return a
}

func (s Service) ask(t *testing.T, method, path, body string) answer {
	t.Helper()
	return s.send(t, method, path, body)
}
