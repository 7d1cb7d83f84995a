// Package bootstrap holds what the bootstrap service and its clients share:
// the registered peers, the service's configuration, and the client.
//
// The service answers one question: whom does a new peer contact first? It
// keeps the addresses of a few peers, no more; who is online is none of its
// business.
package bootstrap

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The longest values the service accepts, in bytes. They bound what one
// request can make it keep, and leave room for what peers send today.
const (
	MaxIDLen   = 64
	MaxNameLen = 128
	maxWordLen = 16 // protocol and status
)

// Peer is one registered peer. All fields are text because the wire format,
// which deployed peers speak, has them so.
type Peer struct {
	ID        string `json:"id,omitempty"`        // a UUID made by the peer
	Name      string `json:"name,omitempty"`      // the peer's name in the cluster
	IP        string `json:"ip,omitempty"`        // IPv4 or IPv6, without zone
	Port      string `json:"port,omitempty"`      // the membership port, 1 to 65535
	Protocol  string `json:"protocol,omitempty"`  // "tcp" in all known peers
	Status    string `json:"status,omitempty"`    // "0", or empty: deployed peers send either
	Timestamp string `json:"timestamp,omitempty"` // when the peer started, in Unix seconds
}

// Addr returns the peer's membership address as host:port, with brackets
// around an IPv6 address.
func (p Peer) Addr() string { return net.JoinHostPort(p.IP, p.Port) }

// Since returns the peer's timestamp as a number of Unix seconds. It fails on
// anything but plain digits that fit 63 bits.
func (p Peer) Since() (int64, error) {
	// Not Atoi: it takes a sign, which no peer ever sent.
	n, err := strconv.ParseUint(p.Timestamp, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("timestamp %s is no number of Unix seconds", quote(p.Timestamp))
	}
	return int64(n), nil
}

// Validate returns nil if every field can be sent and stored, else an error
// about the first that cannot, saying what it should be. Only Status may be
// empty.
func (p Peer) Validate() error {
	if err := ValidateID(p.ID); err != nil {
		return err
	}
	if err := word("name", p.Name, MaxNameLen); err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(p.IP); err != nil || ip.Zone() != "" {
		return fmt.Errorf("ip %s is no IP address such as 192.0.2.1 or 2001:db8::1", quote(p.IP))
	}
	if port, err := strconv.ParseUint(p.Port, 10, 16); err != nil || port == 0 {
		return fmt.Errorf("port %s is no number from 1 to 65535", quote(p.Port))
	}
	if err := word("protocol", p.Protocol, maxWordLen); err != nil {
		return err
	}
	if p.Status != "" {
		if err := word("status", p.Status, maxWordLen); err != nil {
			return err
		}
	}
	_, err := p.Since()
	return err
}

// ValidateID returns nil if id can be the ID of a peer: one printable word of
// at most MaxIDLen bytes. Peers use UUIDs, but nothing depends on that.
func ValidateID(id string) error { return word("id", id, MaxIDLen) }

// word checks a field that the wire format carries between two spaces.
func word(field, s string, limit int) error {
	switch {
	case s == "":
		return errors.New(field + " is missing")
	case len(s) > limit:
		return fmt.Errorf("%s is %d bytes long, at most %d are allowed", field, len(s), limit)
	case !utf8.ValidString(s):
		return fmt.Errorf("%s %s is not UTF-8", field, quote(s))
	case strings.ContainsFunc(s, func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }):
		return fmt.Errorf("%s %s has a space or an unprintable character", field, quote(s))
	}
	return nil
}

// quote returns s quoted for an error text, cut to a length that fits a line.
func quote(s string) string {
	const limit = 64
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	return strconv.Quote(s)
}
