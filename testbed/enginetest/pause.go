package enginetest

import (
	"errors"
	"io"
	"time"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/testbed"
)

func pauseCases() []testCase {
	return []testCase{
		{"a paused peer is suspected, and refutes when it is resumed", false, func(c *cluster) {
			n := c.mark()
			c.must(c.Pause(c.ctx, "dave"))
			if p := c.peer("dave"); p.State != testbed.Paused {
				c.t.Errorf("%+v", p)
			}
			c.awaitEvent(n, "alice suspects dave", about("alice", event.MemberSuspect, "dave"))
			c.must(c.Resume(c.ctx, "dave"))
			if p := c.peer("dave"); p.State != testbed.Running {
				c.t.Errorf("%+v", p)
			}
			c.form()
			if did := c.since(n, testbed.LabPause, testbed.LabResume); len(did) != 2 || did[0].Member != "dave" {
				c.t.Errorf("%v", did)
			}
		}},
		{"a peer paused for long is found dead, and comes back", false, func(c *cluster) {
			c.must(c.Pause(c.ctx, "dave"))
			c.awaitView(c.names[:3], []string{"dave"}, observe.Dead)
			c.must(c.Resume(c.ctx, "dave"))
			c.form()
		}},
		{"a paused peer is stopped with a farewell", false, func(c *cluster) {
			c.must(c.Pause(c.ctx, "dave"))
			n := c.mark()
			c.must(c.Stop(c.ctx, "dave"))
			if p := c.peer("dave"); p.State != testbed.Stopped || p.Exit != 0 {
				c.t.Errorf("%+v", p)
			}
			if said := c.since(n, event.PeerStopping); len(said) != 1 || said[0].Peer != "dave" {
				c.t.Errorf("%v", said)
			}
		}},
		{"a paused peer is killed", false, func(c *cluster) {
			c.must(c.Pause(c.ctx, "dave"))
			c.must(c.Kill(c.ctx, "dave"))
			if p := c.peer("dave"); p.State != testbed.Stopped || p.Exit != 137 {
				c.t.Errorf("%+v", p)
			}
			c.awaitView(c.names[:3], []string{"dave"}, observe.Dead)
		}},
		{"a line for a paused peer fails soon", false, func(c *cluster) {
			c.must(c.Pause(c.ctx, "dave"))
			asked := time.Now()
			if err := c.Exec(c.ctx, "dave", "members", testbed.Input{}, io.Discard); !errors.Is(err, testbed.ErrPaused) || time.Since(asked) > 10*time.Second {
				c.t.Errorf("%v after %s", err, time.Since(asked))
			}
		}},
		{"a throttled peer answers late, until the limit is lifted", false, func(c *cluster) {
			const late = 5 * time.Millisecond
			n := c.mark()
			c.must(c.Throttle(c.ctx, testbed.MinCPUs, "dave"))
			c.awaitRoundTrip("alice", "dave", "at least "+late.String(), func(d time.Duration) bool { return d >= late })
			if did := c.since(n, testbed.LabThrottle); len(did) != 1 || did[0].Member != "dave" || did[0].Text != "0.01" {
				c.t.Errorf("%v", did)
			}
			c.must(c.Throttle(c.ctx, 0, "dave"))
			c.awaitRoundTrip("alice", "dave", "less than "+late.String(), func(d time.Duration) bool { return d < late })
		}},
		{"a throttle out of bounds is refused", false, func(c *cluster) {
			for _, cpus := range []float64{-1, testbed.MinCPUs / 10, 1e9} {
				if c.Throttle(c.ctx, cpus, "dave") == nil {
					c.t.Errorf("%g processors are accepted", cpus)
				}
			}
		}},
	}
}

func moveCases() []testCase {
	return []testCase{
		{"a running peer is not moved", false, func(c *cluster) {
			was := c.peer("dave").Addr
			if _, err := c.Move(c.ctx, "dave"); !errors.Is(err, testbed.ErrRunning) {
				c.t.Errorf("%v", err)
			}
			if is := c.peer("dave").Addr; is != was {
				c.t.Errorf("from %s to %s", was, is)
			}
		}},
		{"a moved peer is seen at an address that nobody had", false, func(c *cluster) {
			had := make(map[string]bool)
			peers, err := c.Peers(c.ctx)
			c.must(err)
			for _, p := range peers {
				had[p.Addr.String()] = true
			}
			c.must(c.Stop(c.ctx, "dave"))
			n := c.mark()
			addr, err := c.Move(c.ctx, "dave")
			c.must(err)
			if had[addr.String()] || c.peer("dave").Addr != addr {
				c.t.Errorf("moved to %s, is at %s", addr, c.peer("dave").Addr)
			}
			c.must(c.Start(c.ctx, "dave"))
			for _, o := range c.names[:3] {
				c.awaitEvent(n, o+" sees dave at "+addr.String(), func(e event.Event) bool {
					return e.Peer == o && e.Member == "dave" && e.Addr == addr.String()+":7946"
				})
			}
			if did := c.since(n, testbed.LabMove); len(did) != 1 || did[0].Member != "dave" || did[0].Addr != addr.String() {
				c.t.Errorf("%v", did)
			}
		}},
		{"the bootstrap service is not moved", false, func(c *cluster) {
			if _, err := c.Move(c.ctx, testbed.Bootstrap); err == nil {
				c.t.Error("it is")
			}
			if _, err := c.Move(c.ctx, "nobody"); !errors.Is(err, testbed.ErrNoPeer) {
				c.t.Errorf("%v", err)
			}
		}},
	}
}
