package registration

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"peerlab/bootstrap"
	"peerlab/event"
)

// ttlService lists the sender of an offer and answers with a TTL of its own
// making.
type ttlService struct {
	ttl      string
	requests int
	self     func() bootstrap.Peer
	cancel   context.CancelFunc
}

// tooMany renewals end the test: without a pause they would never end.
const tooMany = 1000

func (s *ttlService) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.requests++; s.requests > tooMany {
		s.cancel()
	}
	p := s.self()
	body := fmt.Sprintf(`{"config":{"maxpeers":2,"numpeers":1},"ttl":%s,"listed":true,"peers":[{"id":%q,"name":"a","ip":"192.0.2.1","port":"1","protocol":"tcp","timestamp":"1"}]}`, s.ttl, p.ID)
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// TestTTLOfAnyService: the pause between two renewals is bounded, whatever a
// service answers.
func TestTTLOfAnyService(t *testing.T) {
	for ttl, want := range map[string]struct {
		within time.Duration
		most   int // renewals in that time
		least  int
	}{
		"-1":                   {time.Minute, 61, 30}, // as 3 s: one a second
		"-9223372036854775808": {time.Minute, 61, 30},
		"1":                    {time.Minute, 61, 30},
		"3":                    {time.Minute, 61, 30},
		"60":                   {time.Minute, 4, 2},
		"0":                    {48 * time.Hour, 0, 0}, // never
		"86401":                {24 * time.Hour, 4, 2}, // as a day: three a day
		"9223372037":           {24 * time.Hour, 4, 2}, // overflows as a time.Duration
		"9223372036854775807":  {24 * time.Hour, 4, 2},
	} {
		t.Run(ttl, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service := &ttlService{ttl: ttl}
				client, err := bootstrap.NewClient("http://bootstrap", service)
				if err != nil {
					t.Fatal(err)
				}
				c, err := New(Options{Clients: []*bootstrap.Client{client}, Name: "a", Addr: "192.0.2.1:1", Started: time.Now(), Events: event.NewLog("a", 10)})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), want.within)
				defer cancel()
				service.self, service.cancel = c.Self, cancel
				if _, err := c.Join(t.Context()); err != nil {
					t.Fatal(err)
				}
				before := service.requests
				c.Maintain(ctx, alone{})
				if got := service.requests - before; got > want.most || got < want.least {
					t.Errorf("%d renewals in %v, want %d to %d", got, want.within, want.least, want.most)
				}
			})
		})
	}
}

// alone is a group of one.
type alone struct{}

func (alone) Members() []Member                      { return []Member{{Name: "a", Addr: "192.0.2.1:1", Online: true}} }
func (alone) Count() (int, int)                      { return 1, 1 }
func (alone) Changed() <-chan struct{}               { return nil }
func (alone) Announce(context.Context, string) error { return nil }

// TestTokenInClearIsSaidOnce, and not shown.
func TestTokenInClearIsSaidOnce(t *testing.T) {
	const token = "0123456789abcdef"
	for _, test := range []struct {
		url, token string
		want       int
	}{
		{"http://service.example.com", token, 1},
		{"http://service.example.com", "", 0},
		{"https://service.example.com", token, 0},
		{"http://10.77.0.10:8080", token, 0},
		{"http://bootstrap:8080", token, 0},
	} {
		var logged bytes.Buffer
		client, err := bootstrap.NewClient(test.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(Options{
			Clients: []*bootstrap.Client{client.WithToken(test.token)}, Name: "a", Addr: "192.0.2.1:1", Started: time.Now(),
			Events: event.NewLog("a", 10), Log: slog.New(slog.NewTextHandler(&logged, nil)),
		}); err != nil {
			t.Fatal(err)
		}
		text := logged.String()
		if got := strings.Count(text, "level=WARN"); got != test.want || strings.Contains(text, token) || got > 0 && !strings.Contains(text, test.url) {
			t.Errorf("%s with %q: %s", test.url, test.token, text)
		}
	}
}
