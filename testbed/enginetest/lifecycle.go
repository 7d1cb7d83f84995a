package enginetest

import (
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/testbed"
)

func lifecycleCases() []testCase {
	return []testCase{
		{"before the start nothing runs", true, func(c *cluster) {
			peers, err := c.Peers(c.ctx)
			c.must(err)
			if len(peers) != len(c.names)+1 || peers[0].Name != testbed.Bootstrap {
				c.fatalf("%v, want bootstrap and %v", peers, c.names)
			}
			addresses := make(map[string]bool)
			for i, p := range peers[1:] {
				if p.Name != c.names[i] || p.State != testbed.Stopped || !p.Addr.IsValid() || addresses[p.Addr.String()] {
					c.t.Errorf("%+v", p)
				}
				addresses[p.Addr.String()] = true
			}
		}},
		{"a start is recorded, and peers find each other", true, func(c *cluster) {
			c.must(c.Start(c.ctx, testbed.Bootstrap))
			c.must(c.Start(c.ctx, c.names...))
			c.form()
			for _, name := range c.names {
				if c.peer(name).State != testbed.Running {
					c.t.Errorf("%+v", c.peer(name))
				}
				if i := slices.IndexFunc(c.seen, about(testbed.Lab, testbed.LabStart, name)); i < 0 || c.seen[i].Addr == "" {
					c.t.Errorf("the start of %s is not in the history", name)
				}
			}
		}},
		{"a running peer is left alone by start", false, func(c *cluster) {
			n := c.mark()
			c.must(c.Start(c.ctx, c.names...))
			c.must(c.Start(c.ctx, testbed.Bootstrap))
			if began := c.since(n, event.PeerStarted, event.PeerStopping); len(began) > 0 {
				c.t.Errorf("%v", began)
			}
		}},
		{"an unknown name is refused, and nobody is touched", false, func(c *cluster) {
			n := c.mark()
			for what, err := range map[string]error{
				"start": c.Start(c.ctx, "alcie"), "kill": c.Kill(c.ctx, "bob", "alcie"), "stop": c.Stop(c.ctx, "bob", "alcie"),
				"pause": c.Pause(c.ctx, "bob", "alcie"), "resume": c.Resume(c.ctx, "alcie"), "throttle": c.Throttle(c.ctx, 1, "bob", "alcie"),
			} {
				if !errors.Is(err, testbed.ErrNoPeer) || !strings.Contains(err.Error(), "alice?") {
					c.t.Errorf("%s: %v", what, err)
				}
			}
			if did := c.since(n, testbed.LabStart, testbed.LabKill, testbed.LabStop, testbed.LabPause, testbed.LabThrottle); len(did) > 0 || c.peer("bob").State != testbed.Running {
				c.t.Errorf("%v", did)
			}
		}},
		{"a killed peer is found dead by the others, and comes back", false, func(c *cluster) {
			before := c.peer("dave")
			n := c.mark()
			c.must(c.Kill(c.ctx, "dave"))
			if p := c.peer("dave"); p.State != testbed.Stopped || p.Exit != 137 || p.Addr != before.Addr {
				c.t.Errorf("after SIGKILL: %+v", p)
			}
			c.awaitView(c.names[:3], []string{"dave"}, observe.Dead)
			kill, dead := c.since(n, testbed.LabKill), c.since(n, event.MemberDead)
			if len(kill) != 1 || kill[0].Member != "dave" || dead[0].Time.Before(kill[0].Time) {
				c.t.Errorf("%v, then %v", kill, dead[0])
			}
			c.must(c.Start(c.ctx, "dave"))
			c.form()
			if p := c.peer("dave"); p.Addr != before.Addr {
				c.t.Errorf("back at %s, was at %s", p.Addr, before.Addr)
			}
		}},
		{"a stopped peer leaves", false, func(c *cluster) {
			c.must(c.Stop(c.ctx, "dave"))
			if p := c.peer("dave"); p.State != testbed.Stopped || p.Exit != 0 {
				c.t.Errorf("%+v", p)
			}
			// A leave that gossip did not bring to somebody is a death to him.
			c.awaitView(c.names[:3], []string{"dave"}, observe.Left, observe.Dead)
			left := 0
			for _, o := range c.names[:3] {
				if c.view.State(o, "dave") == observe.Left {
					left++
				}
			}
			if left == 0 {
				c.t.Error("nobody considers dave left")
			}
		}},
		{"what does not run cannot be killed or paused, and stays stopped", false, func(c *cluster) {
			c.must(c.Kill(c.ctx, "dave"))
			for what, err := range map[string]error{
				"kill": c.Kill(c.ctx, "dave"), "pause": c.Pause(c.ctx, "dave"), "resume": c.Resume(c.ctx, "dave"),
			} {
				if !errors.Is(err, testbed.ErrStopped) || !strings.Contains(err.Error(), "dave") {
					c.t.Errorf("%s: %v", what, err)
				}
			}
			c.must(c.Stop(c.ctx, "dave"))
			if p := c.peer("dave"); p.State != testbed.Stopped || p.Exit != 137 {
				c.t.Errorf("%+v", p)
			}
		}},
		{"several are killed at once, and the error names who did not run", false, func(c *cluster) {
			c.must(c.Kill(c.ctx, "dave"))
			err := c.Kill(c.ctx, "charly", "dave")
			if !errors.Is(err, testbed.ErrStopped) || !strings.Contains(err.Error(), "dave") || strings.Contains(err.Error(), "charly") {
				c.t.Errorf("%v", err)
			}
			if p := c.peer("charly"); p.State != testbed.Stopped {
				c.t.Errorf("%+v", p)
			}
		}},
		{"peers join without the bootstrap service as soon as it is back", false, func(c *cluster) {
			c.must(c.Kill(c.ctx, "dave", testbed.Bootstrap))
			c.awaitView(c.names[:3], []string{"dave"}, observe.Dead)
			n := c.mark()
			c.must(c.Start(c.ctx, "dave"))
			c.awaitEvent(n, "dave tells that the service is away", about("dave", event.BootstrapError, ""))
			c.must(c.Start(c.ctx, testbed.Bootstrap))
			c.form()
		}},
		{"a peer that quits tells so and has ended", false, func(c *cluster) {
			n := c.mark()
			_ = c.Exec(c.ctx, "dave", "quit", testbed.Input{}, io.Discard) // the answer may be lost
			c.awaitEvent(n, "dave stops", about("dave", event.PeerStopping, ""))
			c.awaitView(c.names[:3], []string{"dave"}, observe.Left, observe.Dead)
			for p := c.peer("dave"); p.State != testbed.Stopped || p.Exit != 0; p = c.peer("dave") {
				if p.Exit != 0 || c.ctx.Err() != nil {
					c.fatalf("%+v", p)
				}
				c.pass(50 * time.Millisecond) // its process ends after its last word
			}
		}},
	}
}
