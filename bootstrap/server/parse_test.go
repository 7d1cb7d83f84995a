package server

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"peerlab/bootstrap"
)

func FuzzParsePeer(f *testing.F) {
	f.Add(bob)
	f.Add("uuid1 alice 2001:db8::1 7946 tcp  1557509978\r\n")
	f.Add("id bob 127.0.0.1 7946 tcp")
	f.Add("id bob 127.0.0.1 7946 tcp  ")
	f.Add("id b\xffb ::1%lo 0 tcp 0 -1")
	f.Fuzz(func(t *testing.T, body string) {
		now := time.Unix(1557509979, 0)
		p, err := parsePeer(body, now)
		if err != nil {
			checkError(t, body, err)
			return
		}
		if err := p.Validate(); err != nil {
			t.Fatalf("%q gave the invalid %+v: %v", body, p, err)
		}
		// A peer says the same again when it is sent again.
		line := strings.Join([]string{p.ID, p.Name, p.IP, p.Port, p.Protocol, p.Status, p.Timestamp}, " ")
		same := strings.HasPrefix(body, line) || strings.HasPrefix(body, strings.TrimSuffix(line, "1557509979"))
		if again, err := parsePeer(line, now); err != nil || again != p || !same {
			t.Fatalf("%q gave %+v, sent again %+v, %v", body, p, again, err)
		}
	})
}

func FuzzParseID(f *testing.F) {
	f.Add("71c3c0ea-e1bd-4112-97ac-1cfeeaa07bc3\n")
	f.Add(" x")
	f.Fuzz(func(t *testing.T, body string) {
		id, err := parseID(body)
		if err != nil {
			checkError(t, body, err)
			return
		}
		if id == "" || len(id) > bootstrap.MaxIDLen || strings.ContainsAny(id, " \r\n\t") || !strings.HasPrefix(body, id) {
			t.Fatalf("%q gave %q", body, id)
		}
	})
}

func FuzzParseConfig(f *testing.F) {
	f.Add("2 2")
	f.Add("0 10\n")
	f.Add("-1 99999999999999999999")
	f.Fuzz(func(t *testing.T, body string) {
		c, err := parseConfig(body)
		if err != nil {
			checkError(t, body, err)
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("%q gave %+v: %v", body, c, err)
		}
	})
}

// checkError fails unless err can be answered as one short, harmless line.
func checkError(t *testing.T, body string, err error) {
	t.Helper()
	text := err.Error()
	if text == "" || len(text) > 400 || !utf8.ValidString(text) || strings.ContainsAny(text, "\n\r\x1b\u0085\u009b\u202e") {
		t.Fatalf("%q gave the error %q", body, text)
	}
}
