package docker

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	api "github.com/moby/moby/api/types/container"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
)

func TestStatusOf(t *testing.T) {
	began, ended := "2026-01-02T03:04:05.5Z", "2026-01-02T03:05:00Z"
	at := func(text string) time.Time {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	member := func(state testbed.State, exit int) dockerd.Member {
		return dockerd.Member{Peer: testbed.Peer{Name: "alice", State: state, Exit: exit}}
	}
	for _, tc := range []struct {
		name string
		m    dockerd.Member
		info api.InspectResponse
		want Status
	}{
		{
			"runs, throttled", member(testbed.Running, 0),
			api.InspectResponse{
				State:      &api.State{StartedAt: began, FinishedAt: "0001-01-01T00:00:00Z"},
				HostConfig: &api.HostConfig{Resources: api.Resources{CPUPeriod: 100_000, CPUQuota: 5000}},
				Config:     &api.Config{Image: "peerlab-peer", Env: []string{"PEER_PROFILE=lan"}},
			},
			Status{Since: at(began), CPUs: 0.05, Image: "peerlab-peer", Profile: "lan"},
		},
		{
			"was killed by the kernel", member(testbed.Stopped, 137),
			api.InspectResponse{State: &api.State{StartedAt: began, FinishedAt: ended, OOMKilled: true}},
			Status{Since: at(ended), Ended: new(137), Peer: testbed.Peer{Reason: testbed.OutOfMemory}},
		},
		{
			"never ran", member(testbed.Stopped, 0),
			api.InspectResponse{State: &api.State{StartedAt: "0001-01-01T00:00:00Z", FinishedAt: "0001-01-01T00:00:00Z"}},
			Status{},
		},
		{"is gone", member(testbed.Running, 0), api.InspectResponse{}, Status{}},
		{
			"a serf agent",
			dockerd.Member{Peer: testbed.Peer{Name: "alice", State: testbed.Running}, Adapter: "serf"},
			api.InspectResponse{Config: &api.Config{Cmd: []string{"agent", "-profile=wan"}}},
			Status{Profile: "wan"},
		},
		{
			"by hand", member(testbed.Running, 0),
			api.InspectResponse{Config: &api.Config{Cmd: []string{"run", "--profile", "wan", "profile=x"}}},
			Status{Profile: "wan"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reason := tc.want.Reason
			tc.want.Peer = tc.m.Peer
			tc.want.Reason = reason
			if got := statusOf(tc.m, tc.info); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
		})
	}
}

// That a process ended well is told, too; one that runs has no exit status.
func TestStatusHasTheExitStatus(t *testing.T) {
	const stamp = "2026-11-23T12:00:00Z"
	for state, want := range map[testbed.State]bool{testbed.Stopped: true, testbed.Running: false} {
		m := dockerd.Member{Peer: testbed.Peer{Name: "alice", State: state}}
		out, err := json.Marshal(statusOf(m, api.InspectResponse{State: &api.State{StartedAt: stamp, FinishedAt: stamp}}))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(out), `"exit":0`); got != want {
			t.Errorf("%s: %s", state, out)
		}
	}
}

func TestCommandLine(t *testing.T) {
	for _, tc := range []struct {
		cluster string
		words   []string
		want    string
	}{
		{"", []string{"resume", "bob"}, "peerlab resume bob"},
		{"x", []string{"resume", "bob"}, "peerlab resume bob --cluster x"},
		{"x", []string{"exec", "bob", "--", "LINE"}, "peerlab exec bob --cluster x -- LINE"},
	} {
		if got := CommandLine(tc.cluster, tc.words...); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.words, got, tc.want)
		}
	}
}

// TestSinceOfAPause has the time of a state begin with the last pause or the end of
// one, not with the process.
func TestSinceOfAPause(t *testing.T) {
	at := func(second int) time.Time { return time.Date(2026, 1, 2, 3, 4, second, 0, time.UTC) }
	var done []event.Event
	for second, kind := range []event.Kind{testbed.LabPause, testbed.LabStart, testbed.LabPause, testbed.LabResume, testbed.LabPause, testbed.LabResume} {
		done = append(done, event.Event{Time: at(second), Peer: testbed.Lab, Kind: kind, Member: "alice"})
	}
	done = append(done, event.Event{Time: at(9), Peer: testbed.Lab, Kind: testbed.LabPause, Member: "bob"})
	for _, tc := range []struct {
		name  string
		state testbed.State
		done  []event.Event
		want  time.Time
	}{
		{"never paused", testbed.Running, done[:2], at(1)},
		{"paused", testbed.Paused, done[:3], at(2)},
		{"resumed", testbed.Running, done[:4], at(3)},
		{"paused again", testbed.Paused, done[:5], at(4)},
		{"resumed again, and another one paused", testbed.Running, done, at(5)},
		{"stopped", testbed.Stopped, done, at(1)},
	} {
		s := Status{Peer: testbed.Peer{Name: "alice", State: tc.state}, Since: at(1)}
		if s.notePauses(tc.done); !s.Since.Equal(tc.want) {
			t.Errorf("%s: since %s, want %s", tc.name, s.Since, tc.want)
		}
	}
}
