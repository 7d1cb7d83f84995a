package dockerd

import (
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pretend answers on a socket as a daemon does that is only greeted, and returns
// its address.
func pretend(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", "1.45")
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return "unix://" + path
}

// TestWatchdogAsksTheChosenDaemon chooses a daemon, then another one for what comes
// later: the watchdog of what was made before asks the first.
func TestWatchdogAsksTheChosenDaemon(t *testing.T) {
	listed := make(chan string, 100)
	daemon := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Api-Version", "1.45")
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte("[]"))
			if strings.HasSuffix(r.URL.Path, "/containers/json") {
				listed <- name
			}
		})
	}
	chosen, chosenTLS, other := httptest.NewServer(daemon("chosen")), httptest.NewTLSServer(daemon("chosen")), httptest.NewServer(daemon("other"))
	defer chosen.Close()
	defer chosenTLS.Close()
	defer other.Close()
	address := func(s *httptest.Server) string { return "tcp://" + s.Listener.Addr().String() }
	for _, test := range []struct{ name, host, context string }{
		{"by DOCKER_HOST", address(chosen), ""},
		{"by a context with TLS, which is removed", "", address(chosenTLS)},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(text []byte, path ...string) {
				t.Helper()
				file := filepath.Join(append([]string{dir}, path...)...)
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("DOCKER_CONFIG", dir)
			t.Setenv("DOCKER_HOST", test.host)
			t.Setenv("DOCKER_CONTEXT", "")
			if test.context != "" {
				id := fmt.Sprintf("%x", sha256.Sum256([]byte("far")))
				write([]byte(`{"Name":"far","Metadata":{},"Endpoints":{"docker":{"Host":"`+test.context+`"}}}`), "contexts", "meta", id, "meta.json")
				write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chosenTLS.Certificate().Raw}), "contexts", "tls", id, "docker", "ca.pem")
				write([]byte(`{"currentContext":"far"}`), "config.json")
			}
			d, err := Connect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			t.Setenv("DOCKER_HOST", address(other))
			if err := os.RemoveAll(filepath.Join(dir, "contexts")); err != nil {
				t.Fatal(err)
			}
			guard, err := d.Guard()
			if err != nil {
				t.Fatal(err)
			}
			guard.watchdog.RemoveAndWait()
			if len(listed) == 0 {
				t.Error("the watchdog asks no daemon")
			}
			for len(listed) > 0 {
				if name := <-listed; name != "chosen" {
					t.Fatalf("the watchdog asks the %s daemon", name)
				}
			}
		})
	}
}

// TestContexts finds the daemon as the docker command does.
func TestContexts(t *testing.T) {
	dir := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	context := func(name, endpoints string) {
		t.Helper()
		write(filepath.Join("contexts", "meta", fmt.Sprintf("%x", sha256.Sum256([]byte(name))), "meta.json"), `{"Name":"`+name+`","Metadata":{},"Endpoints":{`+endpoints+`}}`)
	}
	other, another := pretend(t), pretend(t)
	context("other", `"docker":{"Host":"`+other+`","SkipTLSVerify":false}`)
	context("empty", "")
	context("far", `"docker":{"Host":"ssh://somebody@docker.example.com"}`)
	write("config.json", `{"currentContext":"other"}`)
	t.Setenv("DOCKER_CONFIG", dir)
	for _, test := range []struct {
		name, host, context string
		want, says          string
	}{
		{"docker context use", "", "", other + " (Docker context other)", ""},
		{"DOCKER_HOST before that", another, "", another, ""},
		{"DOCKER_HOST before DOCKER_CONTEXT", another, "other", another, ""},
		{"DOCKER_CONTEXT before docker context use", "", "default", "unix:///var/run/docker.sock", ""},
		{"another machine", "", "far", "ssh://somebody@docker.example.com (Docker context far)", ""},
		{"one there is not", "", "nowhere", "", "the Docker context nowhere"},
		{"one without Docker", "", "empty", "", "docker context ls"},
	} {
		t.Setenv("DOCKER_HOST", test.host)
		t.Setenv("DOCKER_CONTEXT", test.context)
		e, err := CurrentEndpoint()
		if err == nil && e.String() != test.want || (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %s, %v, want %s", test.name, e, err, test.want+test.says)
		}
		if e.Host == other || e.Host == another {
			d, err := Connect(t.Context())
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
				continue
			}
			if got := d.API.DaemonHost(); got != e.Host || d.Endpoint().String() != e.String() || !e.IsLocal() {
				t.Errorf("%s: it is connected to %s", test.name, got)
			}
			_ = d.Close()
		}
		if test.context == "far" && e.IsLocal() {
			t.Error("another machine is taken for this one")
		}
	}
}

func TestConnect(t *testing.T) {
	for host, want := range map[string]error{
		"unix:///nowhere/docker.sock": ErrNoDocker,
		"tcp://127.0.0.1:1":           ErrNoDocker,
		"nonsense":                    ErrNoDocker,
	} {
		t.Setenv("DOCKER_HOST", host)
		if _, err := Connect(t.Context()); !errors.Is(err, want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %v", host, err, want)
		}
	}
}
