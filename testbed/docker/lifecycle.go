package docker

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/docker/record"
)

// grace is how long a peer has to leave, in seconds.
const grace = 10

// endPatience is how long Docker has, beyond grace, to tell that a process it
// was asked to end has ended: a matter of a tenth of a second.
const endPatience = 30 * time.Second

// errSilent is what Stop and Kill say when it does not. Peers that end together
// leave their network together, as RemoveContainers takes care that containers
// do not; to end them in turn would be another fault than the one asked for.
var errSilent = fmt.Errorf("the Docker daemon did not tell within %s that it has ended: if docker ps hangs, only a restart of Docker helps, "+
	"which before version 23 can stop for good when containers end at the same time (moby/libnetwork#2679)", endPatience)

// errFrozen is what Resume says when Docker does not get to it: see begun, which
// keeps this program from bringing it about, though not others.
var errFrozen = fmt.Errorf("the Docker daemon did not resume it within %s: a docker exec that began in the instant of the pause can block a container for good", endPatience)

// Peers implements testbed.Engine.
func (c *Cluster) Peers(ctx context.Context) ([]testbed.Peer, error) {
	all, err := c.daemon.List(ctx, c.name)
	if err != nil {
		return nil, err
	}
	peers := make([]testbed.Peer, len(all))
	err = dockerd.Each(all, func(i int, m dockerd.Member) (err error) {
		if peers[i] = m.Peer; m.State == testbed.Stopped && m.Exit == 137 {
			peers[i].Reason, err = c.reasonOfEnd(ctx, m.ID)
		}
		return err
	})
	return peers, err
}

// reasonOfEnd returns why a container was killed, as Docker knows it: of one whose
// process for a line took too much memory and that was killed later, it believes
// the same.
func (c *Cluster) reasonOfEnd(ctx context.Context, id string) (string, error) {
	info, err := c.daemon.API.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	switch {
	case errdefs.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("look at a container: %w", err)
	case info.Container.State != nil && info.Container.State.OOMKilled:
		return testbed.OutOfMemory, nil
	}
	return "", nil
}

// on calls f for each of the named, several at the same time.
func (c *Cluster) on(ctx context.Context, doing string, names []string, f func(m dockerd.Member) error) error {
	picked, err := c.pick(ctx, names)
	if err != nil {
		return err
	}
	return dockerd.Each(picked, func(_ int, m dockerd.Member) error {
		if err := f(m); err != nil {
			return fmt.Errorf("%s %s: %w", doing, m.Name, err)
		}
		return nil
	})
}

func (c *Cluster) record(kind event.Kind, member, addr, text string) {
	c.history.Record(event.Event{Kind: kind, Member: member, Addr: addr, Text: text})
}

// do records what is done to a member and has f do it.
func (c *Cluster) do(kind event.Kind, text string, m dockerd.Member, action events.Action, f func() error) error {
	addr := ""
	if kind == testbed.LabStart {
		addr = m.Addr.String()
	}
	c.record(kind, m.Name, addr, text)
	withdraw := c.recorder.Expect(m.ID, action)
	err := f()
	if err != nil {
		withdraw()
	}
	return err
}

// Start implements testbed.Engine. A peer that is about to end, as after quit, is
// started once it has.
func (c *Cluster) Start(ctx context.Context, names ...string) error {
	return c.on(ctx, "start", names, func(m dockerd.Member) error {
		if m.State != testbed.Stopped {
			if ending, err := c.isEnding(ctx, m); err != nil || !ending {
				return err
			}
			waiting, cancel := context.WithTimeoutCause(ctx, grace*time.Second+endPatience, errSilent)
			defer cancel()
			if err := c.awaitEnd(waiting, m); err != nil {
				return err
			}
		}
		return c.do(testbed.LabStart, "", m, events.ActionStart, func() error {
			_, err := c.daemon.API.ContainerStart(ctx, m.ID, client.ContainerStartOptions{})
			return err
		})
	})
}

// endingTail is how many lines a peer that ends writes at most: after it has said
// so, and until its process has ended.
const endingTail = 1000

// isEnding reports whether a peer that runs has said that it stops. Docker holds
// its process to be running until the peer has left all layers.
func (c *Cluster) isEnding(ctx context.Context, m dockerd.Member) (ending bool, err error) {
	if m.State != testbed.Running || m.Name == testbed.Bootstrap {
		return false, nil
	}
	told, _, err := c.recorder.ReadOutput(ctx, m, endingTail)
	for _, e := range told {
		switch e.Kind {
		case event.PeerStarted:
			ending = false
		case event.PeerStopping:
			ending = true
		}
	}
	return ending, err
}

// awaitEnd waits until Docker tells that the process of a peer does not run.
func (c *Cluster) awaitEnd(ctx context.Context, m dockerd.Member) error {
	wait := c.daemon.API.ContainerWait(ctx, m.ID, client.ContainerWaitOptions{Condition: api.WaitConditionNotRunning})
	select {
	case <-wait.Result:
		return nil
	case err := <-wait.Error:
		return cmp.Or(context.Cause(ctx), err)
	}
}

// Stop implements testbed.Engine.
func (c *Cluster) Stop(ctx context.Context, names ...string) error {
	return c.on(ctx, "stop", names, func(m dockerd.Member) error {
		if m.State == testbed.Stopped {
			return nil
		}
		if m.State == testbed.Paused {
			// The signal would wait for as long as the pause.
			if err := c.resume(ctx, m); err != nil {
				return err
			}
		}
		seconds := grace
		waiting, cancel := context.WithTimeoutCause(ctx, grace*time.Second+endPatience, errSilent)
		defer cancel()
		err := c.do(testbed.LabStop, "", m, events.ActionDie, func() error {
			_, err := c.daemon.API.ContainerStop(waiting, m.ID, client.ContainerStopOptions{Timeout: &seconds})
			return err
		})
		if err != nil {
			return cmp.Or(context.Cause(waiting), err)
		}
		return c.recorder.Drain(waiting, m)
	})
}

// Kill implements testbed.Engine.
func (c *Cluster) Kill(ctx context.Context, names ...string) error {
	return c.on(ctx, "kill", names, func(m dockerd.Member) error {
		if m.State == testbed.Stopped {
			return testbed.ErrStopped
		}
		waiting, cancel := context.WithTimeoutCause(ctx, endPatience, errSilent)
		defer cancel()
		err := c.do(testbed.LabKill, "", m, events.ActionDie, func() error {
			_, err := c.daemon.API.ContainerKill(waiting, m.ID, client.ContainerKillOptions{Signal: "KILL"})
			return err
		})
		if err != nil {
			return cmp.Or(context.Cause(waiting), err)
		}
		if err := c.awaitEnd(waiting, m); err != nil {
			return err
		}
		return c.recorder.Drain(waiting, m)
	})
}

// Pause implements testbed.Engine.
func (c *Cluster) Pause(ctx context.Context, names ...string) error {
	return c.on(ctx, "pause", names, func(m dockerd.Member) error {
		switch m.State {
		case testbed.Paused:
			return nil
		case testbed.Stopped:
			return testbed.ErrStopped
		}
		give, err := c.turn(ctx, m.ID)
		if err != nil {
			return err
		}
		defer give()
		if err := c.begun(ctx, m.ID); err != nil {
			return err
		}
		return c.do(testbed.LabPause, "", m, events.ActionPause, func() error {
			_, err := c.daemon.API.ContainerPause(ctx, m.ID, client.ContainerPauseOptions{})
			return err
		})
	})
}

// Resume implements testbed.Engine.
func (c *Cluster) Resume(ctx context.Context, names ...string) error {
	return c.on(ctx, "resume", names, func(m dockerd.Member) error {
		switch m.State {
		case testbed.Running:
			return nil
		case testbed.Stopped:
			return testbed.ErrStopped
		}
		return c.resume(ctx, m)
	})
}

func (c *Cluster) resume(ctx context.Context, m dockerd.Member) error {
	waiting, cancel := context.WithTimeoutCause(ctx, endPatience, errFrozen)
	defer cancel()
	err := c.do(testbed.LabResume, "", m, events.ActionUnPause, func() error {
		_, err := c.daemon.API.ContainerUnpause(waiting, m.ID, client.ContainerUnpauseOptions{})
		return err
	})
	if err != nil {
		return cmp.Or(context.Cause(waiting), err)
	}
	return nil
}

// Throttle implements testbed.Engine. A peer that does not run is throttled
// when it does.
func (c *Cluster) Throttle(ctx context.Context, cpus float64, names ...string) error {
	if cpus != 0 && !(cpus >= testbed.MinCPUs && cpus <= 1024) {
		return fmt.Errorf("throttle to %g processors: want %g to 1024, or 0 to lift the limit", cpus, testbed.MinCPUs)
	}
	const period = 100_000 // microseconds, the kernel's default
	limit := api.Resources{CPUPeriod: period, CPUQuota: int64(math.Round(cpus * period))}
	if cpus == 0 {
		limit.CPUQuota = -1 // 0 would leave it as it is
	}
	return c.on(ctx, "throttle", names, func(m dockerd.Member) error {
		text := strconv.FormatFloat(cpus, 'g', -1, 64)
		err := c.do(testbed.LabThrottle, text, m, events.ActionUpdate, func() error {
			_, err := c.daemon.API.ContainerUpdate(ctx, m.ID, client.ContainerUpdateOptions{Resources: &limit})
			if err == nil {
				c.recorder.NoteThrottle(m.ID, record.Processors(limit))
			}
			return err
		})
		if errdefs.IsNotFound(err) {
			return testbed.ErrNoPeer // removed in between
		}
		return err
	})
}
