package membership

import (
	"fmt"
	"net"
	"strconv"
)

// MaxName is the longest name of a peer, in bytes.
const MaxName = 64

// CheckName says why name cannot name a peer: names are 1 to 64 letters,
// digits, dots, dashes and underscores, so that they stand unquoted in
// command lines, scenario files and addresses.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("a peer needs a name: 1 to %d letters, digits, '.', '-' or '_'", MaxName)
	case len(name) > MaxName:
		return fmt.Errorf("peer name of %d bytes is too long: the limit is %d", len(name), MaxName)
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
		default:
			return fmt.Errorf("peer name %q holds %q: use letters, digits, '.', '-' or '_'", name, r)
		}
	}
	return nil
}

// CheckAddr says why addr is no IP:PORT to listen on; what names it in the
// error.
func CheckAddr(what, addr string) error {
	_, _, err := splitAddr(what, addr)
	return err
}

// splitAddr reads HOST:PORT where HOST is an IP address, or empty for any.
func splitAddr(what, addr string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("%s address %q: write HOST:PORT, for example 0.0.0.0:7946", what, addr)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	if net.ParseIP(host) == nil {
		return "", 0, fmt.Errorf("%s address %q: %q is no IP address", what, addr, host)
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%s address %q: %q is no port from 0 to 65535", what, addr, p)
	}
	return host, int(n), nil
}
