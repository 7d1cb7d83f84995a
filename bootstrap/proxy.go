package bootstrap

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// IsLocal reports whether host, an IP address or a name, is on this machine or
// its network: a loopback, private or link-local address, or a name without a
// dot, which is one of /etc/hosts, of Docker's DNS or of the search domain.
// Proxies are for the rest, and so is encryption.
func IsLocal(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		return ip.IsPrivate() || !ip.IsGlobalUnicast()
	}
	host = strings.TrimSuffix(host, ".")
	return host != "" && !strings.ContainsAny(host, ".:")
}

// proxyOf returns the proxy of a request: that of HTTP_PROXY, HTTPS_PROXY and
// NO_PROXY, and none for a local service. Docker's client puts the proxy of its
// configuration into every container that Compose starts, and no proxy finds a
// service by the name that it has on a network of containers.
func proxyOf(r *http.Request) (*url.URL, error) {
	if IsLocal(r.URL.Hostname()) {
		return nil, nil
	}
	return http.ProxyFromEnvironment(r)
}

// SendsTokenInClear reports whether each request shows a token, or the user
// information of the URL, to every network between here and the service: it is
// not local, and the URL is one of http.
func (c *Client) SendsTokenInClear() bool {
	return c.base.Scheme == "http" && (c.token != "" || c.base.User != nil) && !IsLocal(c.base.Hostname())
}
