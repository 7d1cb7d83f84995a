package docker

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/adapter"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/docker/record"
)

// Status is a member of a cluster as Docker knows it.
type Status struct {
	testbed.Peer
	// Since is when its process came into its state: began, was paused or resumed,
	// or has ended; zero if it has never begun.
	Since time.Time `json:"since,omitzero"`
	// Ended is the status with which its process ended, also 0; nil while it runs and
	// before it has begun. In JSON it is exit.
	Ended *int `json:"exit,omitempty"`
	// CPUs is how many processors it may use; 0 is all there are.
	CPUs float64 `json:"cpus,omitempty"`
	// Image is what its container was made from.
	Image string `json:"image"`
	// Profile is whose defaults of memberlist it has, as its container says; empty
	// if that does not say.
	Profile string `json:"profile,omitempty"`
}

// Status returns what Peers does, and what else Docker knows of each.
func (c *Cluster) Status(ctx context.Context) ([]Status, error) {
	members, err := c.daemon.List(ctx, c.name)
	if err != nil {
		return nil, err
	}
	all := make([]Status, len(members))
	err = dockerd.Each(members, func(i int, m dockerd.Member) error {
		info, err := c.daemon.API.ContainerInspect(ctx, m.ID, client.ContainerInspectOptions{})
		if err != nil && !errdefs.IsNotFound(err) { // it may have been removed meanwhile
			return fmt.Errorf("look at the container of %s: %w", m.Name, err)
		}
		all[i] = statusOf(m, info.Container)
		return nil
	})
	if err != nil {
		return all, err
	}
	// Of pauses only Docker's events tell when they were. Where those are not to be
	// had, the beginning of the process is what is known.
	remembered := c.recorder.Remembered(ctx, members)
	for i := range all {
		all[i].notePauses(remembered)
	}
	return all, nil
}

// notePauses sets Since of a process that runs to when it was last paused or
// resumed, if it was.
func (s *Status) notePauses(done []event.Event) {
	last := testbed.LabResume
	switch s.State {
	case testbed.Stopped:
		return
	case testbed.Paused:
		last = testbed.LabPause
	}
	for _, e := range done {
		if e.Member == s.Name && e.Kind == last && e.Time.After(s.Since) {
			s.Since = e.Time
		}
	}
}

func statusOf(m dockerd.Member, info api.InspectResponse) Status {
	s := Status{Peer: m.Peer}
	if state := info.State; state != nil {
		stamp := state.StartedAt
		if m.State == testbed.Stopped {
			stamp = state.FinishedAt
		}
		if m.State == testbed.Stopped && m.Exit == 137 && state.OOMKilled {
			s.Reason = testbed.OutOfMemory
		}
		s.Since = dockerd.ParseTime(stamp)
		if m.State == testbed.Stopped && !s.Since.IsZero() {
			s.Ended = &m.Exit
		}
	}
	if info.HostConfig != nil {
		s.CPUs, _ = strconv.ParseFloat(record.Processors(info.HostConfig.Resources), 64)
	}
	if info.Config != nil {
		s.Image, s.Profile = info.Config.Image, profileOf(info.Config)
	}
	return s
}

// Shells returns the names of the peers in which Attach can open a shell now.
func (c *Cluster) Shells(ctx context.Context) (names []string, err error) {
	members, err := c.daemon.List(ctx, c.name)
	for _, m := range members {
		if m.State == testbed.Running && hasShell(m) {
			names = append(names, m.Name)
		}
	}
	return names, err
}

// hasShell reports whether a member is a peer of a kind that has a shell.
func hasShell(m dockerd.Member) bool {
	kind, err := adapter.Named(m.Adapter)
	return err == nil && m.Name != testbed.Bootstrap && kind.Shell() != nil
}

// profileOf returns the profile that a container's command line or environment
// names, "" for none.
func profileOf(config *api.Config) (profile string) {
	for _, variable := range config.Env {
		if value, is := strings.CutPrefix(variable, "PEER_PROFILE="); is {
			profile = value
		}
	}
	for i, arg := range config.Cmd {
		name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch {
		case name != "profile" || !strings.HasPrefix(arg, "-"):
		case hasValue:
			profile = value
		case i+1 < len(config.Cmd):
			profile = config.Cmd[i+1]
		}
	}
	return profile
}
