package docker

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// halted is a daemon that tells of alice, who runs, and answers nothing else.
type halted struct{}

func (halted) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/containers/json") {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	alice, err := json.Marshal([]api.Summary{{
		ID: "1", State: api.StateRunning, Labels: map[string]string{clusterLabel: "lab", peerLabel: "alice"},
	}})
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(string(alice))), Request: r,
	}, err
}

// TestHaltedDaemon stops and kills a peer of a daemon that has come to a halt.
func TestHaltedDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := client.New(client.WithHost("http://docker"), client.WithHTTPClient(&http.Client{Transport: halted{}}), client.WithAPIVersion(minAPI))
		if err != nil {
			t.Fatal(err)
		}
		c := newCluster(&Daemon{api: d}, "lab")
		began := time.Now()
		if err := c.Kill(t.Context(), "alice"); !errors.Is(err, errSilent) || time.Since(began) != endPatience {
			t.Errorf("kill: %v after %s", err, time.Since(began))
		}
		began = time.Now()
		if err := c.Stop(t.Context(), "alice"); !errors.Is(err, errSilent) || time.Since(began) != endPatience+grace*time.Second {
			t.Errorf("stop: %v after %s", err, time.Since(began))
		}
	})
}
