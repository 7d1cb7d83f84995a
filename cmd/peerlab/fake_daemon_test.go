package main

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"peerlab/testbed/docker/dockerd"
)

// fakeDaemon is a Docker daemon with one cluster, named lab, whose peers run and
// are on no network; the one named serf is an agent of Serf. It remembers what it was
// asked.
type fakeDaemon struct {
	peers []string

	mu    sync.Mutex
	asked map[string]int // by the path, without the version of the API
}

// startFakeDaemon has this shell's docker be a fake one: through a socket of this
// host, or else as one elsewhere.
func startFakeDaemon(t *testing.T, local bool, peers ...string) *fakeDaemon {
	t.Helper()
	d := &fakeDaemon{peers: peers, asked: make(map[string]int)}
	server := httptest.NewUnstartedServer(d)
	if local {
		_ = server.Listener.Close()
		socket := filepath.Join(t.TempDir(), "docker.sock")
		listener, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		server.Listener = listener
		t.Setenv("DOCKER_HOST", "unix://"+socket)
	} else {
		t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
	}
	server.Start()
	t.Cleanup(server.Close)
	return d
}

// times is how often the daemon was asked for something.
func (d *fakeDaemon) times(path string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[path]
}

// ServeHTTP implements http.Handler.
func (d *fakeDaemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if rest, versioned := strings.CutPrefix(path, "/v1."); versioned {
		_, path, _ = strings.Cut(rest, "/")
		path = "/" + path
	}
	d.mu.Lock()
	d.asked[path]++
	d.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Api-Version", "1.45")
	var told any
	switch {
	case path == "/_ping":
		return
	case path == "/info":
		told = map[string]any{"OSType": "linux", "KernelVersion": "1.2.3-elsewhere"}
	case path == "/containers/json" && !r.URL.Query().Has("filters"):
		all := []any{}
		for _, name := range d.peers {
			labels := map[string]string{"peerlab.cluster": "lab", "peerlab.peer": name}
			if name == "serf" {
				labels["peerlab.adapter"] = name
			}
			all = append(all, map[string]any{"Id": name, "State": "running", "Labels": labels})
		}
		told = all
	case strings.HasPrefix(path, "/containers/") && path != "/containers/json":
		told = map[string]any{"State": map[string]any{"Running": true}}
	case path == "/events":
		return
	default:
		told = []any{}
	}
	_ = json.NewEncoder(w).Encode(told) // or else the client is gone
}

// connect connects to the daemon of this shell.
func connect(t *testing.T) *dockerd.Daemon {
	t.Helper()
	d, err := dockerd.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}
