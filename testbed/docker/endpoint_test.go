package docker

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
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
			if got := d.api.DaemonHost(); got != e.Host || d.Endpoint().String() != e.String() || !e.IsLocal() {
				t.Errorf("%s: it is connected to %s", test.name, got)
			}
			_ = d.Close()
		}
		if test.context == "far" && e.IsLocal() {
			t.Error("another machine is taken for this one")
		}
	}
}
