package docker

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
)

// halted is a daemon that tells of alice, who runs, and answers nothing else.
type halted struct{}

func (halted) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/containers/json") {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return listing(r, api.StateRunning)
}

// listing answers a request for the containers: there is alice.
func listing(r *http.Request, state api.ContainerState) (*http.Response, error) {
	return answer(r, http.StatusOK, []api.Summary{{ID: "1", State: state, Labels: map[string]string{dockerd.ClusterLabel: "lab", dockerd.PeerLabel: "alice"}}})
}

func answer(r *http.Request, status int, body any) (*http.Response, error) {
	text, err := json.Marshal(body)
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(string(text))), Request: r,
	}, err
}

// clusterOf is a cluster of a daemon that answers like this.
func clusterOf(t *testing.T, answers http.RoundTripper) *Cluster {
	t.Helper()
	return newCluster(daemonOf(t, answers, ""), "lab")
}

// daemonOf is a daemon that answers like this, on a host whose /proc is in root.
func daemonOf(t *testing.T, answers http.RoundTripper, root string) *dockerd.Daemon {
	t.Helper()
	d, err := client.New(client.WithHost("http://docker"), client.WithHTTPClient(&http.Client{Transport: answers}), client.WithAPIVersion(dockerd.MinAPI))
	if err != nil {
		t.Fatal(err)
	}
	return dockerd.New(d, root)
}

// TestHaltedDaemon stops and kills a peer of a daemon that has come to a halt.
func TestHaltedDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clusterOf(t, halted{})
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

// ending is a daemon whose alice runs until a line is to be run in it.
type ending struct {
	then    api.ContainerState
	refused atomic.Bool
}

func (e *ending) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/exec"):
		e.refused.Store(true)
		return answer(r, http.StatusConflict, map[string]string{"message": "Container 1 is not running"})
	case e.refused.Load():
		return listing(r, e.then)
	}
	return listing(r, api.StateRunning)
}

// TestExecInAPeerThatEnds runs a line in a peer that ends, or is paused, between
// the look at it and the line.
func TestExecInAPeerThatEnds(t *testing.T) {
	for then, want := range map[api.ContainerState]error{
		api.StateExited: testbed.ErrStopped, api.StatePaused: testbed.ErrPaused,
		api.StateRunning: testbed.ErrStopped, // again, after its end
	} {
		t.Run(string(then), func(t *testing.T) {
			c := clusterOf(t, &ending{then: then})
			if err := c.Exec(t.Context(), "alice", "members", testbed.Input{}, io.Discard); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			c.running.Wait()
		})
	}
}

func TestRecreate(t *testing.T) {
	for origin, want := range map[dockerd.Origin]string{
		dockerd.ByCompose: ": COMPOSE_PROJECT_NAME=ub make up, or docker compose up -d, makes it again",
		dockerd.ByPeerlab: ": peerlab down --cluster ub, then peerlab up --cluster ub, makes a new cluster",
		dockerd.ByHand:    "",
	} {
		if got := recreate(origin, "ub"); got != want {
			t.Errorf("%s: %q, want %q", origin, got, want)
		}
	}
}

// quitting is a daemon whose alice has said that she stops: her process ends when
// somebody waits for its end, and only then can it be started.
type quitting struct {
	says           string
	tail           atomic.Value // how many lines of it were asked for
	ended, started atomic.Bool
}

func (q *quitting) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/containers/json"):
		return listing(r, api.StateRunning)
	case strings.HasSuffix(r.URL.Path, "/logs"):
		q.tail.Store(r.URL.Query().Get("tail"))
		frame := append([]byte{1, 0, 0, 0}, binary.BigEndian.AppendUint32(nil, uint32(len(q.says)))...)
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(frame) + q.says)), Request: r}, nil
	case strings.HasSuffix(r.URL.Path, "/wait"):
		q.ended.Store(true)
		return answer(r, http.StatusOK, api.WaitResponse{})
	case strings.HasSuffix(r.URL.Path, "/start"):
		q.started.Store(q.ended.Load())
		return answer(r, http.StatusNoContent, nil)
	}
	return answer(r, http.StatusNotFound, map[string]string{"message": r.URL.Path})
}

// TestStartOfAPeerThatEnds starts a peer whose process Docker still holds to be
// running, though it is about to end.
func TestStartOfAPeerThatEnds(t *testing.T) {
	said := func(life, seq int, kind event.Kind) string {
		at := time.Date(2026, 11, 23, 12, life, seq, 0, time.UTC)
		return string(event.Event{Time: at, Seq: uint64(seq), Peer: "alice", Kind: kind}.Encode())
	}
	started, stopping := said(1, 1, event.PeerStarted), said(1, 2, event.PeerStopping)
	again := started + stopping + said(2, 1, event.PeerStarted)
	for _, tc := range []struct {
		name, says string
		starts     bool
	}{
		{"runs", started, false},
		{"ends", started + stopping, true},
		{"runs again", again, false},
		{"ends again", again + said(2, 2, event.PeerStopping), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q := &quitting{says: tc.says}
			c := clusterOf(t, q)
			if err := c.Start(t.Context(), "alice"); err != nil || q.started.Load() != tc.starts || q.ended.Load() != tc.starts {
				t.Errorf("%v; waited for its end: %t, started: %t, want %t", err, q.ended.Load(), q.started.Load(), tc.starts)
			}
			if tail, _ := strconv.Atoi(fmt.Sprint(q.tail.Load())); tail <= 0 {
				t.Error("it reads all that the peer ever wrote")
			}
		})
	}
}
