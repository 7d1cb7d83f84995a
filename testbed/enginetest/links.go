package enginetest

import (
	"errors"
	"slices"
	"strings"
	"time"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/testbed"
)

func linkCases() []testCase {
	return []testCase{
		{"a partition has each side find the other dead, and a heal ends it", false, func(c *cluster) {
			left, right := c.names[:2], c.names[2:]
			division, err := testbed.Partition(left, right)
			c.must(err)
			c.must(c.SetLinks(c.ctx, division))
			c.inForce(division.String())
			c.awaitView(left, right, observe.Dead)
			c.awaitView(right, left, observe.Dead)
			c.must(c.SetLinks(c.ctx, nil))
			c.inForce("")
			c.form()
		}},
		{"a peer that cannot send is found dead", false, func(c *cluster) {
			c.setLinks("dave -> alice,bob,charly drop=all")
			c.awaitView(c.names[:3], []string{"dave"}, observe.Dead)
		}},
		{"a cut between two peers only kills nobody", false, func(c *cluster) {
			c.setLinks("alice -> dave drop=all; dave -> alice drop=all")
			c.calm()
		}},
		{"a link without UDP kills nobody", false, func(c *cluster) {
			c.setLinks("dave -> alice,bob,charly drop=udp; alice,bob,charly -> dave drop=udp")
			c.calm()
		}},
		{"a link without TCP carries no message of the chat until it is healed", false, func(c *cluster) {
			c.awaitChat()
			c.setLinks("alice -> bob,charly,dave drop=tcp; bob,charly,dave -> alice drop=tcp")
			n := c.mark()
			c.exec("alice", "msg over a cut")
			c.calm()
			if got := c.since(n, event.ChatDelivered); len(got) > 0 {
				c.t.Errorf("delivered: %v", got)
			}
			c.must(c.SetLinks(c.ctx, nil))
			for _, o := range c.names[1:] {
				c.awaitEvent(n, o+" gets the message", func(e event.Event) bool {
					return e.Peer == o && e.Kind == event.ChatDelivered && e.Text == "over a cut"
				})
			}
		}},
		{"a link that loses everything is a cut", false, func(c *cluster) {
			n := c.mark()
			c.setLinks("dave -> alice,bob,charly loss=100%")
			c.awaitView(c.names[:3], []string{"dave"}, observe.Dead)
			if did := c.since(n, testbed.LabCut); len(did) != 1 {
				c.t.Errorf("%v", did)
			}
		}},
		{"a black hole for long packets kills nobody", false, func(c *cluster) {
			c.setLinks("alice -> dave over=1000; dave -> alice over=1000")
			c.calm()
		}},
		{"a link that loses each third packet loses no message of the chat", false, func(c *cluster) {
			c.awaitChat()
			c.setLinks("alice -> bob every=3")
			c.inForce("alice -> bob every=3")
			n := c.mark()
			c.exec("alice", "msg each third")
			c.awaitEvent(n, "bob gets the message", func(e event.Event) bool { return e.Peer == "bob" && e.Kind == event.ChatDelivered })
		}},
		{"a link with a rate carries messages of the chat", false, func(c *cluster) {
			c.awaitChat()
			c.setLinks("alice -> bob rate=1mbit")
			n := c.mark()
			c.exec("alice", "msg slowly")
			c.awaitEvent(n, "bob gets the message", func(e event.Event) bool { return e.Peer == "bob" && e.Kind == event.ChatDelivered })
		}},
		{"a delay is felt, or refused before anything changes", false, func(c *cluster) {
			const delay = 40 * time.Millisecond
			links := c.links("alice -> dave delay=40ms")
			if err := c.factory.Check(c.ctx, links); err != nil {
				if !errors.Is(err, testbed.ErrUnable) {
					c.fatalf("check: %v", err)
				}
				if err := c.SetLinks(c.ctx, links); !errors.Is(err, testbed.ErrUnable) {
					c.t.Errorf("set: %v", err)
				}
				c.inForce("")
				return
			}
			c.must(c.SetLinks(c.ctx, links))
			c.awaitRoundTrip("alice", "dave", "at least "+delay.String(), func(d time.Duration) bool { return d >= delay })
			c.must(c.SetLinks(c.ctx, nil))
			c.awaitRoundTrip("alice", "dave", "less than "+delay.String(), func(d time.Duration) bool { return d < delay })
		}},
		{"links replace all that was, and are recorded as what they are", false, func(c *cluster) {
			n := c.mark()
			for _, step := range []struct {
				links string
				kind  event.Kind
			}{
				{"alice -> bob loss=20%", testbed.LabLink},
				{"alice -> bob drop=udp loss=20%; bob -> charly over=1000", testbed.LabCut},
				{"bob -> charly loss=5%", testbed.LabLink},
				{"", testbed.LabHeal},
			} {
				c.setLinks(step.links)
				c.inForce(step.links)
				did := c.since(n, testbed.LabCut, testbed.LabLink, testbed.LabHeal)
				if len(did) == 0 || did[len(did)-1].Kind != step.kind || did[len(did)-1].Text != step.links {
					c.t.Errorf("%q: %v", step.links, did)
				}
				n = c.mark()
			}
		}},
		{"links that are like that already are not recorded", false, func(c *cluster) {
			n := c.mark()
			c.must(c.SetLinks(c.ctx, nil))
			for range 2 {
				c.setLinks("alice -> bob drop=udp")
			}
			for range 2 {
				c.must(c.SetLinks(c.ctx, nil))
			}
			did := c.since(n, testbed.LabCut, testbed.LabLink, testbed.LabHeal)
			if len(did) != 2 || did[0].Kind != testbed.LabCut || did[1].Kind != testbed.LabHeal {
				c.t.Errorf("%v, want one cut and one heal", did)
			}
		}},
		{"a value of a link is taken back", false, func(c *cluster) {
			c.setLinks("alice -> bob drop=udp loss=100%")
			now, err := c.Links(c.ctx)
			c.must(err)
			change, err := testbed.ParseLinkChange([]string{"loss=0"})
			c.must(err)
			now, err = now.Set([]testbed.Pair{{From: "alice", To: "bob"}}, change)
			c.must(err)
			c.must(c.SetLinks(c.ctx, now))
			c.inForce("alice -> bob drop=udp")
			c.calm()
		}},
		{"wrong links are refused, and those in force stay", false, func(c *cluster) {
			c.setLinks("alice -> bob loss=1%")
			for want, links := range map[string]testbed.Links{
				"loss: 120 %":   {{From: "alice", To: "bob"}: {Loss: 120}},
				"there are":     {{From: "alice", To: "xyzzy"}: {Loss: 1}},
				"itself":        {{From: "alice", To: "alice"}: {Loss: 1}},
				"needs a delay": {{From: "alice", To: "bob"}: {Shape: testbed.Shape{Reorder: 5}}},
			} {
				if err := c.SetLinks(c.ctx, links); err == nil || !strings.Contains(err.Error(), want) {
					c.t.Errorf("%v: %v, want %q", links, err, want)
				}
			}
			c.inForce("alice -> bob loss=1%")
		}},
		{"links to the bootstrap service are cut like any other", false, func(c *cluster) {
			c.must(c.Stop(c.ctx, "dave"))
			c.setLinks("bootstrap -> dave drop=all; dave -> bootstrap drop=all")
			n := c.mark()
			c.must(c.Start(c.ctx, "dave"))
			c.awaitEvent(n, "dave cannot reach the service", about("dave", event.BootstrapError, ""))
			c.must(c.SetLinks(c.ctx, nil))
			c.form()
		}},
		{"links set before the start hold from the first packet on", true, func(c *cluster) {
			division, err := testbed.Partition(c.names[:2], append(slices.Clone(c.names[2:]), testbed.Bootstrap))
			c.must(err)
			c.must(c.SetLinks(c.ctx, division))
			c.must(c.Start(c.ctx, testbed.Bootstrap))
			c.must(c.Start(c.ctx, c.names...))
			c.awaitView(c.names[2:], c.names[2:], observe.Alive)
			c.pass(5 * time.Second)
			for _, e := range c.since(0, event.MemberJoin) {
				if slices.Contains(c.names[:2], e.Peer) && e.Member != e.Peer {
					c.t.Errorf("across the cut: %v", e)
				}
			}
			c.must(c.SetLinks(c.ctx, nil))
			c.form()
		}},
		{"links are still there when a peer comes back or has moved", false, func(c *cluster) {
			c.setLinks("alice,bob,charly -> dave drop=all; dave -> alice,bob,charly drop=all")
			c.awaitView(c.names[:3], []string{"dave"}, observe.Dead)
			c.must(c.Kill(c.ctx, "dave"))
			c.must(c.Start(c.ctx, "dave"))
			c.must(c.Kill(c.ctx, "dave"))
			_, err := c.Move(c.ctx, "dave")
			c.must(err)
			n := c.mark()
			c.must(c.Start(c.ctx, "dave"))
			c.awaitEvent(n, "dave runs", about("dave", event.PeerStarted, ""))
			c.pass(5 * time.Second)
			for _, e := range c.since(n, event.MemberJoin) {
				if (e.Peer == "dave") != (e.Member == "dave") {
					c.t.Errorf("across the cut: %v", e)
				}
			}
			c.inForce("alice,bob,charly -> dave drop=all; dave -> alice,bob,charly drop=all")
		}},
	}
}
