package docker

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
)

// recorded is a daemon with containers, whose states are as told, and with what it
// still has of their events; off takes alice off her network.
type recorded struct {
	states map[string]string // as JSON, by peer, who is her own container
	events string            // one JSON object after another
	now    io.Reader         // those that come while somebody listens
	off    atomic.Bool

	listed, inspectedBob atomic.Int32 // how often
}

func (d *recorded) RoundTrip(r *http.Request) (*http.Response, error) {
	path := r.URL.Path
	text := func(body io.Reader) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(body), Request: r}, nil
	}
	switch {
	case strings.HasSuffix(path, "/containers/json") && r.URL.Query().Has("filters"):
		return text(strings.NewReader("[]")) // agents
	case strings.HasSuffix(path, "/containers/json"):
		d.listed.Add(1)
		var all []api.Summary
		for name, state := range d.states {
			s := api.Summary{ID: name, State: api.StateRunning, Labels: map[string]string{dockerd.ClusterLabel: "lab", dockerd.PeerLabel: name}, Created: 1_700_000_000}
			switch {
			case strings.Contains(state, "FinishedAt"):
				s.State, s.Status = api.StateExited, "Exited (137) a minute ago"
			case strings.Contains(state, "paused"):
				s.State = api.StatePaused
			}
			s.NetworkSettings = &api.NetworkSettingsSummary{Networks: make(map[string]*network.EndpointSettings)}
			if name != "alice" || !d.off.Load() {
				s.NetworkSettings.Networks["peerlab-lab"] = &network.EndpointSettings{IPAddress: netip.MustParseAddr("10.0.0.11")}
			}
			all = append(all, s)
		}
		return answer(r, http.StatusOK, all)
	case strings.HasSuffix(path, "/events") && r.URL.Query().Has("until"):
		return text(strings.NewReader(d.events))
	case strings.HasSuffix(path, "/events"):
		return text(d.now)
	case strings.HasSuffix(path, "/info"):
		return text(strings.NewReader(`{"KernelVersion": "crowded"}`)) // as of crowdedHost
	case strings.HasSuffix(path, "/logs"):
		return text(strings.NewReader(""))
	}
	for name, state := range d.states {
		if strings.HasSuffix(path, "/containers/"+name+"/json") {
			if name == "bob" {
				d.inspectedBob.Add(1)
			}
			networks := `{"peerlab-lab": {"IPAddress": "10.0.0.11"}}`
			if name == "alice" && d.off.Load() {
				networks = "{}"
			}
			return text(strings.NewReader(`{"State": ` + state + `, "HostConfig": {}, "NetworkSettings": {"Networks": ` + networks + `}}`))
		}
	}
	return answer(r, http.StatusNotFound, map[string]string{"message": "no such thing"})
}

func dockerEvent(kind events.Type, action events.Action, id string, attributes string) string {
	return fmt.Sprintf(`{"Type": %q, "Action": %q, "Actor": {"ID": %q, "Attributes": {%s}}, "timeNano": %d}`+"\n",
		kind, action, id, attributes, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano())
}

// isForgotten reports whether an event says that Docker no longer has all of its own.
func isForgotten(e event.Event) bool {
	return e.Kind == testbed.LabError && strings.HasPrefix(e.Error, "Docker keeps its latest 256 events, and some of what was done to the peers is no longer among them")
}

// TestForgottenByDocker asks what was done when Docker has forgotten it: what shows
// in the containers is told all the same, and that there was more.
func TestForgottenByDocker(t *testing.T) {
	c := clusterOf(t, &recorded{
		states: map[string]string{
			"alice":  `{"Running": true, "StartedAt": "2026-01-02T03:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z"}`,
			"bob":    `{"ExitCode": 137, "OOMKilled": true, "StartedAt": "2026-01-02T03:00:01Z", "FinishedAt": "2026-01-02T03:10:00Z"}`,
			"charly": `{"ExitCode": 137, "StartedAt": "2026-01-02T03:00:02Z", "FinishedAt": "2026-01-02T03:11:00Z"}`,
			"dave":   `{"ExitCode": 0, "StartedAt": "2026-01-02T03:00:03Z", "FinishedAt": "2026-01-02T03:11:00Z"}`,
		},
		events: dockerEvent(events.ContainerEventType, events.ActionCreate, "dave", "") +
			dockerEvent(events.ContainerEventType, events.ActionStart, "dave", ""),
	})
	reported, err := c.Reported(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]event.Event)
	for _, e := range reported {
		got[string(e.Kind)+" "+e.Member] = e
	}
	for _, want := range []string{"lab.start alice", "lab.start bob", "lab.exit bob", "lab.start charly", "lab.kill charly", "lab.start dave", "lab.error "} {
		if got[want].Kind == "" {
			t.Errorf("%s is not told", want)
		}
	}
	if len(got) != 7 || got["lab.exit bob"].Reason != testbed.OutOfMemory || got["lab.exit bob"].Text != "137" || !got["lab.exit bob"].Time.Equal(time.Date(2026, 1, 2, 3, 10, 0, 0, time.UTC)) ||
		!isForgotten(got["lab.error "]) {
		t.Errorf("%+v", reported)
	}
}

// TestSinceOfAForgottenPause asks for the state of a peer whose pause Docker has
// forgotten: it is not as if the pause had begun now.
func TestSinceOfAForgottenPause(t *testing.T) {
	c := clusterOf(t, &recorded{states: map[string]string{
		"alice": `{"Status": "paused", "Running": true, "Paused": true, "StartedAt": "2026-01-02T03:00:00Z"}`,
	}})
	all, err := c.Status(t.Context())
	if want := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC); err != nil || len(all) != 1 || all[0].State != testbed.Paused || !all[0].Since.Equal(want) {
		t.Errorf("%+v, %v: want it paused since its process began, %s", all, err, want)
	}
}

// TestTakenOffItsNetwork takes a peer off the network of its cluster and connects
// it again: that is told to who follows and to who comes later, and the end of a
// container, of which Docker tells in the same words, is not.
func TestTakenOffItsNetwork(t *testing.T) {
	come, tell := io.Pipe()
	d := &recorded{
		states: map[string]string{
			"alice": `{"Status": "running", "Running": true, "StartedAt": "2026-01-02T03:00:00Z"}`, "bob": `{"Status": "running", "Running": true, "StartedAt": "2026-01-02T03:00:00Z"}`,
		},
		events: dockerEvent(events.ContainerEventType, events.ActionCreate, "alice", "") + dockerEvent(events.ContainerEventType, events.ActionCreate, "bob", ""),
		now:    come,
	}
	c := clusterOf(t, d)
	defer func() { _ = tell.Close(); _ = c.Close(t.Context()) }()
	send := func(action events.Action, peer, network string) {
		if _, err := io.WriteString(tell, dockerEvent(events.NetworkEventType, action, "1", fmt.Sprintf(`"container": %q, "name": %q`, peer, network))); err != nil {
			t.Error(err)
		}
	}
	c.History()
	send(events.ActionDisconnect, "bob", "peerlab-lab") // as when it ends
	send(events.ActionConnect, "bob", "peerlab-lab")    // as when it starts
	send(events.ActionDisconnect, "alice", "a-monitor")
	d.off.Store(true)
	send(events.ActionDisconnect, "alice", "peerlab-lab")
	await(t, c, 0, "alice is off", about(testbed.Lab, testbed.LabDisconnect, "alice"))
	// To begin with, and when it may have been taken off its network.
	if listed, inspected := d.listed.Load(), d.inspectedBob.Load(); listed != 2 || inspected != 2 {
		t.Errorf("Docker lists %d times and inspects bob %d times, want 2 each", listed, inspected)
	}
	reported, err := c.Reported(t.Context())
	if err != nil {
		t.Error(err)
	}
	told := 0
	for _, e := range reported {
		if e.Kind == testbed.LabDisconnect && e.Member == "alice" && e.Text == "peerlab-lab" {
			told++
		}
	}
	if told != 1 {
		t.Errorf("one that comes later: %+v", reported)
	}
	if peers, err := c.Peers(t.Context()); err != nil || peers[0].Reason != testbed.NoNetwork || peers[1].Reason != "" {
		t.Errorf("%+v, %v", peers, err)
	}
	d.off.Store(false)
	send(events.ActionConnect, "alice", "peerlab-lab")
	await(t, c, 0, "alice is back", about(testbed.Lab, testbed.LabConnect, "alice"))
	var kinds []string
	for _, e := range c.since(0) {
		kinds = append(kinds, strings.TrimSpace(string(e.Kind)+" "+e.Member+" "+e.Error))
	}
	if len(kinds) != 2 {
		t.Errorf("%q", kinds)
	}
}
