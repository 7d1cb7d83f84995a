package bootstrap_test

import (
	"strings"
	"testing"

	"peerlab/bootstrap"
)

func bob() bootstrap.Peer {
	return bootstrap.Peer{
		ID: "71c3c0ea-e1bd-4112-97ac-1cfeeaa07bc3", Name: "bob", IP: "127.0.0.1", Port: "56471",
		Protocol: "tcp", Status: "0", Timestamp: "1557509977",
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*bootstrap.Peer)
		want   string // what the error must say; "" if there must be none
	}{
		{"as deployed peers send it", func(*bootstrap.Peer) {}, ""},
		{"empty status", func(p *bootstrap.Peer) { p.Status = "" }, ""},
		{"IPv6", func(p *bootstrap.Peer) { p.IP = "2001:db8::1" }, ""},
		{"name in any script", func(p *bootstrap.Peer) { p.Name = "Zoë-日本" }, ""},
		{"longest name", func(p *bootstrap.Peer) { p.Name = strings.Repeat("n", bootstrap.MaxNameLen) }, ""},
		{"highest port", func(p *bootstrap.Peer) { p.Port = "65535" }, ""},
		{"timestamp 0", func(p *bootstrap.Peer) { p.Timestamp = "0" }, ""},
		{"ID that is no UUID", func(p *bootstrap.Peer) { p.ID = "uuid1" }, ""},

		{"no ID", func(p *bootstrap.Peer) { p.ID = "" }, "id is missing"},
		{"long ID", func(p *bootstrap.Peer) { p.ID = strings.Repeat("i", bootstrap.MaxIDLen+1) }, "at most 64"},
		{"no name", func(p *bootstrap.Peer) { p.Name = "" }, "name is missing"},
		{"long name", func(p *bootstrap.Peer) { p.Name = strings.Repeat("n", bootstrap.MaxNameLen+1) }, "at most 128"},
		{"space in the name", func(p *bootstrap.Peer) { p.Name = "bob smith" }, "space"},
		{"escape sequence in the name", func(p *bootstrap.Peer) { p.Name = "bob\x1b[2J" }, `bob\x1b[2J`},
		{"newline in the name", func(p *bootstrap.Peer) { p.Name = "bob\n" }, "unprintable"},
		{"bidi override in the name", func(p *bootstrap.Peer) { p.Name = "bob\u202e" }, "unprintable"},
		{"name not UTF-8", func(p *bootstrap.Peer) { p.Name = "bob\xff" }, "not UTF-8"},
		{"host name for IP", func(p *bootstrap.Peer) { p.IP = "localhost" }, `ip "localhost" is no IP address`},
		{"IP with zone", func(p *bootstrap.Peer) { p.IP = "fe80::1%eth0" }, "no IP address"},
		{"no IP", func(p *bootstrap.Peer) { p.IP = "" }, "no IP address"},
		{"port 0", func(p *bootstrap.Peer) { p.Port = "0" }, "1 to 65535"},
		{"port 65536", func(p *bootstrap.Peer) { p.Port = "65536" }, "1 to 65535"},
		{"port with sign", func(p *bootstrap.Peer) { p.Port = "+80" }, "1 to 65535"},
		{"no protocol", func(p *bootstrap.Peer) { p.Protocol = "" }, "protocol is missing"},
		{"long status", func(p *bootstrap.Peer) { p.Status = strings.Repeat("0", 17) }, "status is 17 bytes"},
		{"no timestamp", func(p *bootstrap.Peer) { p.Timestamp = "" }, "timestamp"},
		{"timestamp with sign", func(p *bootstrap.Peer) { p.Timestamp = "-5" }, `timestamp "-5"`},
		{"timestamp beyond 63 bits", func(p *bootstrap.Peer) { p.Timestamp = "9223372036854775808" }, "timestamp"},
		{"endless timestamp", func(p *bootstrap.Peer) { p.Timestamp = strings.Repeat("9", 4000) }, "9…"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := bob()
			test.change(&p)
			err := p.Validate()
			switch {
			case test.want == "" && err != nil:
				t.Fatalf("valid peer refused: %v", err)
			case test.want == "":
			case err == nil:
				t.Fatal("accepted")
			case !strings.Contains(err.Error(), test.want):
				t.Errorf("error %q does not say %q", err, test.want)
			case len(err.Error()) > 200 || strings.ContainsAny(err.Error(), "\n\x1b"):
				t.Errorf("error is not one short, printable line: %q", err)
			}
		})
	}
}

func TestAddr(t *testing.T) {
	p := bob()
	if got := p.Addr(); got != "127.0.0.1:56471" {
		t.Errorf("Addr() = %s", got)
	}
	p.IP = "2001:db8::1"
	if got := p.Addr(); got != "[2001:db8::1]:56471" {
		t.Errorf("Addr() = %s", got)
	}
}
