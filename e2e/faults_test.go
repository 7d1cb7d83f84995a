package e2e

import (
	"testing"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// stop sends SIGTERM and returns how long the peer took to end.
func (c *cluster) stop(t *testing.T, name string) time.Duration {
	t.Helper()
	began := time.Now()
	if err := c.Stop(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	if p := c.peer(t, name); p.State != testbed.Stopped || p.Exit != 0 {
		t.Errorf("%s is %s with exit code %d after SIGTERM", name, p.State, p.Exit)
	}
	return took
}

// kill sends SIGKILL and returns when that was.
func (c *cluster) kill(t *testing.T, name string) time.Time {
	t.Helper()
	mark := c.mark()
	if err := c.Kill(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	return c.did(t, mark, testbed.LabKill)
}

// pause freezes a peer and returns when that was, resume lets it go on.
func (c *cluster) pause(t *testing.T, name string) time.Time {
	t.Helper()
	mark := c.mark()
	if err := c.Pause(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	return c.did(t, mark, testbed.LabPause)
}

func (c *cluster) resume(t *testing.T, name string) {
	t.Helper()
	if err := c.Resume(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

// setLinks puts links in force and returns since when the kernel follows.
func (c *cluster) setLinks(t *testing.T, links testbed.Links) time.Time {
	t.Helper()
	mark := c.mark()
	if err := c.SetLinks(t.Context(), links); err != nil {
		t.Fatal(err)
	}
	return c.did(t, mark, links.Kind())
}

// did returns when the engine did something after mark.
func (c *cluster) did(t *testing.T, mark int, kind event.Kind) time.Time {
	t.Helper()
	for _, e := range c.since(mark) {
		if e.Peer == testbed.Lab && e.Kind == kind {
			return e.Time
		}
	}
	t.Fatalf("the history tells of no %s", kind)
	return time.Time{}
}

// unplug takes peers off the network without the engine's knowledge: their
// interface is gone. The function it returns puts them back where they were.
func (c *cluster) unplug(t *testing.T, names ...string) (plug func()) {
	t.Helper()
	addrs := make(map[string]string)
	for _, name := range names {
		addrs[name] = c.peer(t, name).Addr.String()
	}
	for _, name := range names {
		if err := byHand(t, "network", "disconnect", c.network(), c.container(name)); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		t.Helper()
		for _, name := range names {
			if err := byHand(t, "network", "connect", "--ip", addrs[name], "--alias", name, c.network(), c.container(name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}
