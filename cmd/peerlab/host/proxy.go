package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"peerlab/testbed/docker/dockerd"
)

// Proxy tells which proxies are set, and who uses them.
func Proxy(env func(string) string, dockerHost string) Check {
	c := Check{Name: "proxy", State: "ok", Found: "none"}
	var found []string
	path, inContainers, err := containerProxies(env, dockerHost)
	if err != nil {
		c.State, c.Mend = "unknown", "fix the file: docker cannot read it either"
		found = append(found, err.Error())
	}
	if len(inContainers) > 0 {
		found = append(found, strings.Join(inContainers, ", ")+" in "+path+
			": Compose puts it into containers; peers use it for services elsewhere, not for one on their own network")
	}
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		if v := env(name); v != "" {
			found = append(found, name+"="+withoutUser(v)+" in this shell: not in containers")
		}
	}
	if len(found) > 0 {
		c.Found = strings.Join(found, "; ")
	}
	return c
}

// containerProxies returns the proxies that Docker's client gives to containers
// and builds, and the file they are from, which need not be there.
func containerProxies(env func(string) string, dockerHost string) (path string, proxies []string, err error) {
	path = filepath.Join(dockerd.ConfigDir(env), "config.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil, nil
	}
	if err != nil {
		return path, nil, err
	}
	type proxy struct{ HTTPProxy, HTTPSProxy string }
	var config struct{ Proxies map[string]proxy } // by daemon, or default
	if err := json.Unmarshal(b, &config); err != nil {
		return path, nil, fmt.Errorf("%s: %w", path, err)
	}
	p, ok := config.Proxies[dockerHost]
	if !ok {
		p = config.Proxies["default"]
	}
	for _, u := range []string{p.HTTPProxy, p.HTTPSProxy} {
		if u = withoutUser(u); u != "" && !slices.Contains(proxies, u) {
			proxies = append(proxies, u)
		}
	}
	return path, proxies, nil
}

// withoutUser returns a proxy's URL without what logs in there.
func withoutUser(proxy string) string {
	if i := strings.LastIndexByte(proxy, '@'); i >= 0 {
		scheme, _, ok := strings.Cut(proxy, "://")
		if proxy = proxy[i+1:]; ok {
			proxy = scheme + "://" + proxy
		}
	}
	return proxy
}

// DaemonProxy returns the proxy through which a daemon elsewhere is asked, ""
// for none.
func DaemonProxy(dockerHost string) string {
	u, err := url.Parse(dockerHost)
	if err != nil || u.Scheme != "tcp" {
		return ""
	}
	scheme := "http"
	if os.Getenv("DOCKER_CERT_PATH") != "" {
		scheme = "https"
	}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: scheme, Host: u.Host}})
	if err != nil || proxy == nil {
		return ""
	}
	return withoutUser(proxy.String())
}
