package etcd

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"
)

// asClient makes the test binary a process that reads from the etcd at its
// value: the proxy is read from the environment once in a process.
const asClient = "PEERLAB_TEST_READ_ETCD"

func readAndExit(url string) {
	s, err := Open(context.Background(), url, 2, 3)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, _ = s.View(ctx) // nobody is there
}

// TestProxyIsForTheInternet: an etcd on a network of containers is contacted
// without the proxy that Docker's client puts into them.
func TestProxyIsForTheInternet(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]bool{
		"etcd://nobody:2379":                         false,
		"etcds://nobody:2379":                        false,
		"etcd://nobody-1:2379,nobody-2:2379":         false,
		"etcd://etcd.example.com:2379":               true,
		"etcd://nobody:2379,etcd.example.com:2379/x": true,
	} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Bool
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Store(true)
				w.WriteHeader(http.StatusBadGateway)
			}))
			defer proxy.Close()
			cmd := exec.CommandContext(t.Context(), self)
			cmd.Env = []string{asClient + "=" + url, "HTTPS_PROXY=" + proxy.URL, "GOCOVERDIR=" + t.TempDir()}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if asked.Load() != want {
				t.Errorf("through the proxy: %t, want %t", asked.Load(), want)
			}
		})
	}
}
