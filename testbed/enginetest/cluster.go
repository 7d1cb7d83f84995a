package enginetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/testbed"
)

// patience is how long a cluster may take for what a case awaits, by the
// engine's clock.
const patience = 2 * time.Minute

// cluster is what a case works on: a cluster of peers whose names and views it
// knows. It belongs to the goroutine of its case.
type cluster struct {
	testbed.Engine
	t       testing.TB
	ctx     context.Context
	factory testbed.Factory
	names   []string

	view *observe.View
	seen []event.Event // of the history, as far as it was read
}

func newCluster(ctx context.Context, t testing.TB, f testbed.Factory, e testbed.Engine, names []string) *cluster {
	e.History()
	return &cluster{Engine: e, t: t, ctx: ctx, factory: f, names: names, view: observe.NewView()}
}

// ended is the panic with which a case that cannot go on ends. FailNow must not
// be called by another goroutine than the test's, and a simulator has others.
type ended struct{}

// attempt runs a case until it ends.
func attempt(do func(c *cluster), c *cluster) {
	defer func() {
		if reason := recover(); reason != nil {
			if _, ok := reason.(ended); !ok {
				panic(reason)
			}
		}
	}()
	do(c)
}

func (c *cluster) fatalf(format string, args ...any) {
	c.t.Helper()
	c.t.Errorf(format, args...)
	panic(ended{})
}

func (c *cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.fatalf("%v", err)
	}
}

// catchUp reads what has happened.
func (c *cluster) catchUp() {
	for {
		events, _ := c.History().Since(len(c.seen))
		if len(events) == 0 {
			return
		}
		c.add(events)
	}
}

func (c *cluster) add(events []event.Event) {
	for _, e := range events {
		c.view.Add(e)
	}
	c.seen = append(c.seen, events...)
}

// await waits until ok, which is asked after each event.
func (c *cluster) await(what string, ok func() bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	for c.catchUp(); !ok(); {
		events, err := c.History().Read(ctx, len(c.seen))
		if err != nil {
			c.fatalf("%s: %v\n%s", what, err, c.view.Table())
		}
		c.add(events)
	}
}

// awaitView waits until each observer considers each member to be in one of the
// states.
func (c *cluster) awaitView(observers, members []string, states ...observe.State) {
	c.t.Helper()
	c.await(fmt.Sprintf("%v see %v %v", observers, members, states), func() bool { return c.sees(observers, members, states...) })
}

func (c *cluster) sees(observers, members []string, states ...observe.State) bool {
	for _, o := range observers {
		for _, m := range members {
			if !slices.Contains(states, c.view.State(o, m)) {
				return false
			}
		}
	}
	return true
}

// awaitEvent waits until there is an event after the first n of the history that
// matches, and returns it.
func (c *cluster) awaitEvent(n int, what string, matches func(event.Event) bool) (found event.Event) {
	c.t.Helper()
	c.await(what, func() bool {
		i := slices.IndexFunc(c.seen[n:], matches)
		if i >= 0 {
			found = c.seen[n+i]
		}
		return i >= 0
	})
	return found
}

// since returns the events of these kinds after the first n of the history.
func (c *cluster) since(n int, kinds ...event.Kind) (events []event.Event) {
	c.catchUp()
	for _, e := range c.seen[n:] {
		if slices.Contains(kinds, e.Kind) {
			events = append(events, e)
		}
	}
	return events
}

// calm checks that nobody is declared dead for a time in which a crash would
// have been found.
func (c *cluster) calm() {
	c.t.Helper()
	n := c.mark()
	c.pass(10 * time.Second)
	if dead := c.since(n, event.MemberDead); len(dead) > 0 {
		c.t.Errorf("declared dead: %v", dead)
	}
}

// pass lets time pass, by the engine's clock.
func (c *cluster) pass(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.ctx.Done():
		c.fatalf("%v", c.ctx.Err())
	}
}

// mark is where the history is now.
func (c *cluster) mark() int {
	c.catchUp()
	return len(c.seen)
}

func (c *cluster) peer(name string) testbed.Peer {
	c.t.Helper()
	peers, err := c.Peers(c.ctx)
	c.must(err)
	i := slices.IndexFunc(peers, func(p testbed.Peer) bool { return p.Name == name })
	if i < 0 {
		c.fatalf("%s is not among %v", name, peers)
	}
	return peers[i]
}

// exec runs a line in a peer and returns what it wrote.
func (c *cluster) exec(name, line string) string {
	c.t.Helper()
	var out bytes.Buffer
	c.must(c.Exec(c.ctx, name, line, testbed.Input{}, &out))
	return out.String()
}

// roundTrip is what observer has last measured to member, zero if it has not.
func (c *cluster) roundTrip(observer, member string) time.Duration {
	c.t.Helper()
	var rows []struct {
		RTT time.Duration `json:"rtt_ns"`
	}
	if err := json.Unmarshal([]byte(c.exec(observer, "members -format json "+member)), &rows); err != nil || len(rows) != 1 {
		c.fatalf("members: %v, %d rows", err, len(rows))
	}
	return rows[0].RTT
}

// awaitRoundTrip waits until observer measures a round trip to member that ok
// accepts. No event tells of it, so it asks at intervals.
func (c *cluster) awaitRoundTrip(observer, member, what string, ok func(time.Duration) bool) {
	c.t.Helper()
	last := time.Duration(0)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); c.pass(200 * time.Millisecond) {
		if last = c.roundTrip(observer, member); last > 0 && ok(last) {
			return
		}
	}
	c.fatalf("the round trip from %s to %s is %s, want %s", observer, member, last, what)
}

// setLinks puts the links that the text describes in force.
func (c *cluster) setLinks(text string) {
	c.t.Helper()
	c.must(c.SetLinks(c.ctx, c.links(text)))
}

func (c *cluster) links(text string) testbed.Links {
	c.t.Helper()
	links, err := testbed.ParseLinks(text)
	c.must(err)
	return links
}

// inForce checks what Links returns.
func (c *cluster) inForce(want string) {
	c.t.Helper()
	links, err := c.Links(c.ctx)
	if err != nil || links.String() != want {
		c.t.Errorf("in force: %q, %v, want %q", links, err, want)
	}
}

// form waits until all peers consider each other alive.
func (c *cluster) form() {
	c.t.Helper()
	c.awaitView(c.names, c.names, observe.Alive)
}

// awaitChat waits until everyone has met everyone in the chat: a message is owed
// to those whom its author has met. What a peer knows of it is asked at
// intervals.
func (c *cluster) awaitChat() {
	c.t.Helper()
	met := func(name string) bool {
		out := c.exec(name, "chat members")
		for _, other := range c.names {
			if other != name && !strings.Contains(out, other) {
				return false
			}
		}
		return true
	}
	deadline := time.Now().Add(patience)
	for _, name := range c.names {
		for !met(name) {
			if time.Now().After(deadline) {
				c.fatalf("%s has not met everyone in the chat", name)
			}
			c.pass(100 * time.Millisecond)
		}
	}
}

// repair makes the cluster as it was before a case: all run, nothing is in the
// way, and all see each other.
func (c *cluster) repair() {
	c.t.Helper()
	c.must(c.SetLinks(c.ctx, nil))
	peers, err := c.Peers(c.ctx)
	c.must(err)
	for _, p := range peers {
		if p.State == testbed.Paused {
			c.must(c.Resume(c.ctx, p.Name))
		}
		if p.Name != testbed.Bootstrap && p.State != testbed.Stopped {
			c.must(c.Throttle(c.ctx, 0, p.Name))
		}
	}
	c.must(c.Start(c.ctx, testbed.Bootstrap))
	c.must(c.Start(c.ctx, c.names...))
	c.form()
}

// about matches what peer reports of member.
func about(peer string, kind event.Kind, member string) func(event.Event) bool {
	return func(e event.Event) bool { return e.Peer == peer && e.Kind == kind && e.Member == member }
}
