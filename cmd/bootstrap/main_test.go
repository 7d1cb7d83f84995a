package main

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// asProgram makes the test binary behave as the program, so that tests can run
// it as a process of its own without building it.
const asProgram = "PEERLAB_TEST_AS_BOOTSTRAP"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// vars is an environment from words like NAME=value.
func vars(words string) lookup {
	m := map[string]string{}
	for _, word := range strings.Fields(words) {
		name, value, _ := strings.Cut(word, "=")
		m[name] = value
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func TestWrongUse(t *testing.T) {
	tests := []struct {
		args, env string
		status    int
		want      string
	}{
		{"--nope", "", 2, "unknown flag: --nope"},
		{"serve", "", 2, `unknown command "serve"`},
		{"healht", "", 2, `unknown command "healht", did you mean health?`},
		{"health now", "", 2, `health takes no argument, got "now"`},
		{"health --nope", "", 2, "unknown flag: --nope"},
		{"health --url 127.0.0.1:8080", "", 2, "must be like http://HOST:PORT"},
		{"health", "BOOTSTRAP_URL=ftp://h", 2, "must be like http://HOST:PORT"},
		{"version --short", "", 2, "unknown flag"},
		{"--max-peers two", "", 2, `"two" for "--max-peers"`},
		{"--max-peers -1", "", 2, "maxpeers is -1, want 0 to 1000"},
		{"--max-peers 1001", "", 2, "maxpeers is 1001, want 0 to 1000"},
		{"--min-refill-candidates 1001", "", 2, "minrefillcandidates is 1001, want 0 to 1000"},
		{"--log-level loud", "BOOTSTRAP_VERSION=1.2", 2, `--log-level "loud"`}, // that is no flag's
		{"--log-level loud", "", 2, `--log-level "loud": want debug, info, warn or error`},
		{"", "BOOTSTRAP_MAX_PEERS=two", 2, `environment variable BOOTSTRAP_MAX_PEERS="two"`},
		{"", "BOOTSTRAP_MIN_REFILL_CANDIDATES=-3", 2, "minrefillcandidates is -3"},
		{"", "BOOTSTRAP_LOG_LEVEL=loud", 2, `"loud"`},
		{"", "PORT=http", 2, `environment variable PORT="http" is not a number between 1 and 65535`},
		{"", "PORT=0", 2, `environment variable PORT="0"`},
		{"--listen 127.0.0.1:0 --store redis://h", "", 1, `store "redis://h": want memory:, bolt:PATH`},
		{"--listen 127.0.0.1:0 --store bolt:", "", 1, "want memory:"},
		{"--listen 127.0.0.1:0 --store bolt:/nowhere/db", "", 1, "open bolt file: open /nowhere/db"},
		{"--listen 127.0.0.1:0 --store etcd://h", "", 1, "etcd URL: want"},
		{"--listen 127.0.0.1:0", "BOOTSTRAP_STORE=firestore://", 1, "firestore URL: want"},
		{"--ttl 1s", "", 2, "--ttl must be between 3s and 24h, not 1s"},
		{"--rate -1", "", 2, "--rate -1"},
		{"--log-format xml", "", 2, "want text or json"},
		{"--tls-cert x", "", 2, "go together"},
		{"--tls-cert x --tls-key y", "", 1, "certificate x with key y"},
		{"--trusted-proxies 10.0.0.1", "", 2, "want networks such as"},
		{"--networks 10.0.0.0/33", "", 2, `--networks "10.0.0.0/33": want networks such as`},
		{"", "BOOTSTRAP_NETWORKS=10.0.0.1", 2, `--networks "10.0.0.1"`},
		{"--host http://lab.example", "", 2, `--host "http://lab.example": want a name such as`},
		{"--host lab.example:8080", "", 2, "without scheme and port"},
		{"--tokens-file /nowhere", "", 2, "/nowhere: no such file"},
		{"", "BOOTSTRAP_ADMIN_TOKEN=short", 2, "16 characters or more"},
		{"--listen 8080", "", 1, `listen on "8080": address 8080: missing port`},
		{"--listen 127.0.0.1:99999", "", 1, `listen on "127.0.0.1:99999": `},
		{"--listen 192.0.2.1:0", "", 1, "not an address of this machine"},
		{"", "BOOTSTRAP_LISTEN=x PORT=8080", 1, `listen on "x": `},
		{"--listen y", "BOOTSTRAP_LISTEN=x", 1, `listen on "y": `},
	}
	for _, test := range tests {
		t.Run(test.args+" "+test.env, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(t.Context(), strings.Fields(test.args), vars(test.env), &stdout, &stderr)
			text := stderr.String()
			if status != test.status || !strings.Contains(text, test.want) {
				t.Errorf("status %d, %q, want %d with %q", status, text, test.status, test.want)
			}
			if !strings.HasPrefix(text, "bootstrap: ") || strings.Count(text, "\n") != 1 || stdout.Len() > 0 {
				t.Errorf("want one line on stderr, got %q and on stdout %q", text, &stdout)
			}
		})
	}
}

func TestHelpAndVersion(t *testing.T) {
	for args, want := range map[string]string{
		"--help":      "--min-refill-candidates int",
		"health -h":   "--url URL",
		"version":     "bootstrap ",
		"--version":   "bootstrap ",
		"help health": "--url URL",
	} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), strings.Fields(args), vars("BOOTSTRAP_VERSION=1.2"), &stdout, &stderr); status != 0 ||
			!strings.Contains(stdout.String(), want) || stderr.Len() > 0 {
			t.Errorf("%s: status %d, %q, %q", args, status, &stdout, &stderr)
		}
	}
}

func TestHealth(t *testing.T) {
	answer := func(status int) *httptest.Server {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/healthz" || r.Method != http.MethodGet {
				t.Errorf("asked %s %s", r.Method, r.URL)
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte("store\x1b gone\n"))
		}))
		t.Cleanup(srv.Close)
		return srv
	}
	well, ill := answer(http.StatusOK), answer(http.StatusServiceUnavailable)
	wellAddr := well.Listener.Addr().String()
	_, wellPort, err := net.SplitHostPort(wellAddr)
	if err != nil {
		t.Fatal(err)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	tests := []struct {
		args, env string
		status    int
		want      string
	}{
		{"--url " + well.URL, "", 0, "ok"},
		{"--url " + well.URL + "/", "HTTP_PROXY=http://127.0.0.1:1", 0, "ok"},
		{"", "BOOTSTRAP_URL=" + well.URL, 0, "ok"},
		{"", "BOOTSTRAP_LISTEN=" + wellAddr, 0, "ok"},
		{"", "BOOTSTRAP_LISTEN=:" + wellPort + " PORT=1", 0, "ok"},
		{"", "PORT=" + wellPort, 0, "ok"},
		{"--url " + ill.URL, "", 1, `status 503: "store\x1b gone\n"`},
		{"--url " + gone.URL, "", 1, "connection refused"},
	}
	for _, test := range tests {
		var stdout, stderr bytes.Buffer
		status := run(t.Context(), append([]string{"health"}, strings.Fields(test.args)...), vars(test.env), &stdout, &stderr)
		out := stdout.String() + stderr.String()
		if status != test.status || !strings.Contains(out, test.want) || strings.Count(out, "\n") != 1 {
			t.Errorf("health %s %s: status %d, %q, want %d, %q", test.args, test.env, status, out, test.status, test.want)
		}
	}
}

func TestOwnURL(t *testing.T) {
	for env, want := range map[string]string{
		"":                                    "http://127.0.0.1:8080",
		"BOOTSTRAP_LISTEN=":                   "http://127.0.0.1:8080",
		"PORT=9000":                           "http://127.0.0.1:9000",
		"BOOTSTRAP_TLS_CERT=x PORT=9000":      "https://127.0.0.1:9000",
		"BOOTSTRAP_LISTEN=:9001 PORT=9000":    "http://127.0.0.1:9001",
		"BOOTSTRAP_LISTEN=0.0.0.0:9001":       "http://127.0.0.1:9001",
		"BOOTSTRAP_LISTEN=[::]:9001":          "http://[::1]:9001",
		"BOOTSTRAP_LISTEN=192.0.2.1:9001":     "http://192.0.2.1:9001",
		"BOOTSTRAP_LISTEN=[2001:db8::1]:9001": "http://[2001:db8::1]:9001",
	} {
		if got := ownURL(vars(env)); got != want {
			t.Errorf("%q: %s, want %s", env, got, want)
		}
	}
}
