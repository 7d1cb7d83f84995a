package server

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// sameOrigin refuses requests that a browser makes for a page of another site.
// Peers and curl send neither Origin nor Sec-Fetch-Site.
func sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// As a POST: the legacy API writes by GET, HEAD and OPTIONS, too, which
		// the protection takes for harmless, and OPTIONS is what a browser asks
		// by itself before a page may PUT.
		asked := http.Request{Method: http.MethodPost, Host: r.Host, Header: r.Header}
		if protection.Check(&asked) != nil {
			http.Error(w, "a page of another site may not change the list", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// withOwnHost refuses requests that call this service by a name that is not
// its own: see Options.Hosts.
func (s *service) withOwnHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil && !isOwnHost(r.Host, s.Hosts) {
			http.Error(w, fmt.Sprintf("this service is not known as %.64q: bootstrap --host NAME lets it answer to a name", r.Host), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isOwnHost reports whether a Host header, with or without a port, is one that
// nobody else can have lead here: an IP address, a name without a dot, such as
// localhost, which no public DNS resolves, or one of names.
func isOwnHost(hostport string, names []string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	host = strings.TrimSuffix(host, ".")
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") {
		return true
	}
	for _, name := range names {
		if strings.EqualFold(host, strings.TrimSuffix(name, ".")) {
			return true
		}
	}
	return false
}
