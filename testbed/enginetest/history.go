package enginetest

import (
	"context"
	"errors"
	"time"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/testbed"
)

func historyCases() []testCase {
	return []testCase{
		{"each peer's events are counted without gaps, over several lives", false, func(c *cluster) {
			c.must(c.Kill(c.ctx, "charly"))
			c.must(c.Stop(c.ctx, "dave"))
			c.must(c.Start(c.ctx, "charly", "dave"))
			c.form()
			c.must(c.Kill(c.ctx, "dave"))
			c.catchUp()
			next := make(map[string]uint64)
			for _, e := range c.seen {
				if e.Kind == event.PeerStarted {
					next[e.Peer] = 1
				} else if next[e.Peer] == 0 && e.Peer != testbed.Lab {
					continue // the bootstrap service counts nothing
				}
				if want := next[e.Peer]; e.Seq != max(want, 1) {
					c.t.Errorf("%v has the number %d, want %d", e, e.Seq, want)
				}
				next[e.Peer] = e.Seq + 1
			}
		}},
		{"when kill returns, all that the peer reported is there", false, func(c *cluster) {
			c.must(c.Kill(c.ctx, "dave"))
			n := c.mark()
			c.awaitView(c.names[:3], []string{"dave"}, observe.Dead)
			for _, e := range c.seen[n:] {
				if e.Peer == "dave" {
					c.t.Errorf("reported by a dead peer: %v", e)
				}
			}
		}},
		{"when stop returns, its farewell is there", false, func(c *cluster) {
			n := c.mark()
			c.must(c.Stop(c.ctx, "dave"))
			if said := c.since(n, event.PeerStopping); len(said) != 1 || said[0].Peer != "dave" {
				c.t.Errorf("%v", said)
			}
		}},
		{"a reader of the history ends with its context", false, func(c *cluster) {
			ctx, cancel := context.WithTimeout(c.ctx, time.Second)
			defer cancel()
			for n := c.mark(); ; {
				events, err := c.History().Read(ctx, n)
				if err != nil {
					if !errors.Is(err, context.DeadlineExceeded) {
						c.t.Errorf("%v", err)
					}
					return
				}
				n += len(events)
			}
		}},
		{"a note is kept in its place", false, func(c *cluster) {
			n := c.mark()
			c.History().Record(event.Event{Kind: testbed.LabMark, Text: "here"})
			c.must(c.Kill(c.ctx, "dave"))
			did := c.since(n, testbed.LabMark, testbed.LabKill)
			if len(did) != 2 || did[0].Text != "here" || did[0].Peer != testbed.Lab || did[1].Seq <= did[0].Seq || did[1].Time.Before(did[0].Time) {
				c.t.Errorf("%v", did)
			}
		}},
	}
}
