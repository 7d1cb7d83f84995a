package sim

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"peerlab/testbed"
)

// Start implements testbed.Engine.
func (c *Cluster) Start(ctx context.Context, names ...string) error {
	return c.on(ctx, "start", names, func(_ context.Context, m *member) error {
		if m.now() != testbed.Stopped {
			return nil
		}
		c.record(testbed.LabStart, m.host.name, m.peer().Addr.String(), "")
		return m.start()
	})
}

// Stop implements testbed.Engine.
func (c *Cluster) Stop(ctx context.Context, names ...string) error {
	return c.on(ctx, "stop", names, func(ctx context.Context, m *member) error {
		state := m.now()
		if state == testbed.Stopped {
			return nil
		}
		if state == testbed.Paused {
			m.resume()
		}
		c.record(testbed.LabStop, m.host.name, "", "")
		m.mu.Lock()
		leave, ended := m.leave, m.ended
		m.mu.Unlock()
		leave()
		patience := time.NewTimer(grace)
		defer patience.Stop()
		select {
		case <-ended:
			return nil
		case <-patience.C:
			m.vanish(killed)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// Kill implements testbed.Engine.
func (c *Cluster) Kill(ctx context.Context, names ...string) error {
	return c.on(ctx, "kill", names, func(_ context.Context, m *member) error {
		if m.now() == testbed.Stopped {
			return testbed.ErrStopped
		}
		c.record(testbed.LabKill, m.host.name, "", "")
		m.vanish(killed)
		return nil
	})
}

// Pause implements testbed.Engine. The peer's sends and receives wait for the
// end of the pause; its timers run on.
func (c *Cluster) Pause(ctx context.Context, names ...string) error {
	return c.on(ctx, "pause", names, func(_ context.Context, m *member) error {
		switch m.now() {
		case testbed.Paused:
			return nil
		case testbed.Stopped:
			return testbed.ErrStopped
		}
		c.record(testbed.LabPause, m.host.name, "", "")
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.state == testbed.Running {
			m.state = testbed.Paused
			m.life.pause(true)
			m.wake()
		}
		return nil
	})
}

// Resume implements testbed.Engine.
func (c *Cluster) Resume(ctx context.Context, names ...string) error {
	return c.on(ctx, "resume", names, func(_ context.Context, m *member) error {
		switch m.now() {
		case testbed.Running:
			return nil
		case testbed.Stopped:
			return testbed.ErrStopped
		}
		m.resume()
		return nil
	})
}

func (m *member) resume() {
	m.cluster.record(testbed.LabResume, m.host.name, "", "")
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == testbed.Paused {
		m.state = testbed.Running
		m.life.pause(false)
	}
}

// Throttle implements testbed.Engine. Each message that a throttled peer
// receives takes it 100 µs of a processor, so much longer as it has less than
// one, and one after the other. A peer that does not run is throttled when it
// does.
func (c *Cluster) Throttle(ctx context.Context, cpus float64, names ...string) error {
	if cpus != 0 && !(cpus >= testbed.MinCPUs && cpus <= 1024) {
		return fmt.Errorf("throttle to %g processors: want %g to 1024, or 0 to lift the limit", cpus, testbed.MinCPUs)
	}
	return c.on(ctx, "throttle", names, func(_ context.Context, m *member) error {
		c.record(testbed.LabThrottle, m.host.name, "", strconv.FormatFloat(cpus, 'g', -1, 64))
		m.mu.Lock()
		defer m.mu.Unlock()
		m.cpus = cpus
		if m.state != testbed.Stopped {
			m.life.throttle(cpus)
		}
		return nil
	})
}

// Move implements testbed.Engine. The bootstrap service stays where it is: the
// peers have been told.
func (c *Cluster) Move(ctx context.Context, name string) (addr netip.Addr, err error) {
	if name == testbed.Bootstrap {
		return addr, errors.New("bootstrap cannot move: the peers know its address")
	}
	err = c.on(ctx, "move", []string{name}, func(_ context.Context, m *member) error {
		if m.now() != testbed.Stopped {
			return fmt.Errorf("it %w: stop or kill it first: a peer moves between two lives", testbed.ErrRunning)
		}
		c.mu.Lock()
		addr, c.next = c.next, c.next.Next()
		c.mu.Unlock()
		c.network.move(m.host, addr)
		c.record(testbed.LabMove, name, addr.String(), "")
		return nil
	})
	return addr, err
}
