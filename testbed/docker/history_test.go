package docker

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
)

// emptied is a daemon on which alice's cluster is removed: her log is not to be
// had any more when she is told to be gone.
type emptied struct{ gone *atomic.Bool }

func (d emptied) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := func(status int, body io.Reader) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(body), Request: r,
		}, nil
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/containers/json") && (d.gone.Load() || r.URL.Query().Has("filters")):
		return answer(http.StatusOK, strings.NewReader("[]"))
	case strings.HasSuffix(r.URL.Path, "/containers/json"):
		return answer(http.StatusOK, strings.NewReader(`[{"Id": "1", "State": "running", "Labels": {"peerlab.cluster": "lab", "peerlab.peer": "alice"}, "NetworkSettings": {"Networks": {"peerlab-lab": {}}}}]`))
	case strings.HasSuffix(r.URL.Path, "/events") && r.URL.Query().Has("until"):
		return answer(http.StatusOK, strings.NewReader(`{"Type": "container", "Action": "create", "Actor": {"ID": "1"}}`))
	case strings.HasSuffix(r.URL.Path, "/events"):
		body, in := io.Pipe()
		go func() {
			time.Sleep(time.Minute) // of a bubble's time
			d.gone.Store(true)
			_, _ = io.WriteString(in, `{"Type": "container", "Action": "destroy", "Actor": {"ID": "1"}}`)
			<-r.Context().Done()
			_ = in.CloseWithError(r.Context().Err())
		}()
		return answer(http.StatusOK, body)
	}
	return answer(http.StatusConflict, strings.NewReader(`{"message": "dead or marked for removal"}`))
}

// TestHistoryEnds has the history of a cluster end with the cluster, and with
// nothing to complain of.
func TestHistoryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, err := client.New(client.WithHost("http://docker"), client.WithHTTPClient(&http.Client{Transport: emptied{new(atomic.Bool)}}), client.WithAPIVersion(dockerd.MinAPI))
		if err != nil {
			t.Fatal(err)
		}
		c := newCluster(&dockerd.Daemon{API: api}, "lab")
		defer c.Close(t.Context())
		began := time.Now()
		var told []event.Event
		for err == nil {
			var more []event.Event
			more, err = c.History().Read(t.Context(), len(told))
			told = append(told, more...)
		}
		if !errors.Is(err, testbed.ErrClosed) || len(told) > 0 || time.Since(began) != time.Minute {
			t.Errorf("after %s and %d events: %v", time.Since(began), len(told), err)
		}
	})
}
