package bootstrap_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"peerlab/bootstrap"
)

// asPeer makes the test binary a process that asks the service at its value:
// net/http reads the proxy from the environment once in a process.
const asPeer = "PEERLAB_TEST_ASK"

func askAndExit(url string) {
	c, err := bootstrap.NewClient(url, nil)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = c.Ping(ctx)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("answered")
}

// ask runs a process that asks url in an environment with a proxy, and returns
// what it printed.
func ask(t *testing.T, url, proxy string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = []string{asPeer + "=" + url, "HTTP_PROXY=" + proxy, "HTTPS_PROXY=" + proxy, "GOCOVERDIR=" + t.TempDir()}
	out, _ := cmd.Output() // what it prints tells
	return strings.TrimSpace(string(out))
}

// TestProxyIsForTheInternet: Docker's client puts the proxy of its
// configuration into every container that Compose starts. Services of a lab
// are asked without it, those of the internet through it.
func TestProxyIsForTheInternet(t *testing.T) {
	asked := make(chan string, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- r.Host:
		default:
		}
		_, _ = w.Write([]byte("OK"))
	}))
	defer proxy.Close()
	service := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("OK")) }))
	service.Listener.Close()
	l, err := net.Listen("tcp", ":0") // not only on loopback, which net/http asks without a proxy anyway
	if err != nil {
		t.Fatal(err)
	}
	service.Listener = l
	service.Start()
	defer service.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	own := privateAddr(t)
	for _, test := range []struct {
		url     string
		through bool
	}{
		{"http://" + net.JoinHostPort(own, port), false},
		{"http://service.example.com:8080", true},
		{"http://192.0.2.1:8080", true},
	} {
		out := ask(t, test.url, proxy.URL)
		through := false
		select {
		case <-asked:
			through = true
		default:
		}
		if through != test.through || out != "answered" {
			t.Errorf("%s: through the proxy: %t, want %t: %s", test.url, through, test.through, out)
		}
	}
	// The error of one who is refused by a proxy names it.
	const dead = "http://user:secret@127.0.0.1:1"
	out := ask(t, "http://service.example.com", dead)
	if !strings.Contains(out, "through the proxy http://127.0.0.1:1") || strings.Contains(out, "secret") || strings.Contains(out, "user") {
		t.Errorf("%s", out)
	}
	// One whose name has no dot is not to be found, which is not the proxy's word.
	if out := ask(t, "http://nobody", dead); strings.Contains(out, "proxy") || !strings.Contains(out, "nobody") {
		t.Errorf("%s", out)
	}
}

// privateAddr returns a private address of this machine.
func privateAddr(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsPrivate() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no private address")
	return ""
}

func TestIsLocal(t *testing.T) {
	for host, want := range map[string]bool{
		"bootstrap": true, "localhost": true, "LOCALHOST": true, "bootstrap.": true,
		"10.77.0.10": true, "172.17.0.1": true, "192.168.1.1": true, "fd00::1": true, "::ffff:10.0.0.1": true,
		"127.0.0.1": true, "::1": true, "169.254.1.1": true, "fe80::1": true, "fe80::1%eth0": true,
		"example.com": false, "192.0.2.1": false, "172.32.0.1": false, "8.8.8.8": false, "2001:db8::1": false,
		"10.77.0.10.example.com": false, "localhost.example.com": false, "::ffff:8.8.8.8": false, "": false,
	} {
		if got := bootstrap.IsLocal(host); got != want {
			t.Errorf("%q: %t, want %t", host, got, want)
		}
	}
}

func TestTokenInClear(t *testing.T) {
	for _, test := range []struct {
		url, token string
		want       bool
	}{
		{"http://service.example.com", "0123456789abcdef", true},
		{"http://192.0.2.1:8080", "0123456789abcdef", true},
		{"http://user:0123456789abcdef@192.0.2.1:8080", "", true},
		{"http://192.0.2.1:8080", "", false},
		{"https://service.example.com", "0123456789abcdef", false},
		{"http://bootstrap:8080", "0123456789abcdef", false},
		{"http://10.77.0.10:8080", "0123456789abcdef", false},
		{"HTTP://service.example.com", "0123456789abcdef", true},
	} {
		c, err := bootstrap.NewClient(test.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.WithToken(test.token).SendsTokenInClear(); got != test.want {
			t.Errorf("%s with token %q: %t", test.url, test.token, got)
		}
	}
}
