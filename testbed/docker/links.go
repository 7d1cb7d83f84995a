package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/docker/probe"
	"peerlab/testbed/fabric"
)

// wires is what an engine holds of the links of its cluster. Who has the turn
// owns the rest.
type wires struct {
	turn   chan struct{} // holds one thing: the turn
	lab    string        // whose agent client talks to
	client *fabric.Client
	let    func() // ends the looking after what is in force
	held   bool   // what is in force stays as long as this program lives, at least

	probes *probe.Set

	lost chan error // holds one thing at most: what was in force is not
}

func newWires(probes *probe.Set) wires {
	return wires{turn: make(chan struct{}, 1), let: func() {}, probes: probes, lost: make(chan error, 1)}
}

// SetLinks implements testbed.Engine, by rules on the network's bridge, which a
// container with the image Options.FabricImage keeps. They go by the addresses
// of the peers, which stay through all their lives, and follow Move; the
// bootstrap service is a peer like any other. The program must begin with
// RunWatchdogIfRequested.
//
// In a cluster made without Keep the rules have a lease that is renewed as long
// as the program lives: killed, it leaves them for fabric.DefaultLease, ten
// seconds, at most twice as long, even where no watchdog removes the cluster.
// In one that stays they last until they are replaced or the network is
// removed. If they are lost, that is in the history as lab.error and the next
// call fails.
//
// Each link that has changed is measured in both directions, if both its peers
// run, with about twenty datagrams and a connection (more where a share of
// packets is to be told), from a container that shares the peer's network. That
// takes half a second, and the first time a tenth more for each peer; so it
// comes before anything changes. Changes that would take more than 4,000
// datagrams are measured on a sample which has links of every peer, as far as
// these suffice.
func (c *Cluster) SetLinks(ctx context.Context, links testbed.Links) error {
	return c.SetLinksFor(ctx, links, 0)
}

// SetLinksFor is SetLinks for a time, after which all links are healthy; 0 is
// SetLinks. The time runs whether or not this program does.
func (c *Cluster) SetLinksFor(ctx context.Context, links testbed.Links, d time.Duration) error {
	return c.setLinks(ctx, nil, links, d)
}

// setLinks is SetLinksFor for those members, or with nil for all there are when it
// is their turn.
func (c *Cluster) setLinks(ctx context.Context, members []dockerd.Member, links testbed.Links, d time.Duration) (err error) {
	if d < 0 || d > 0 && d < time.Second || d > 30*24*time.Hour {
		return fmt.Errorf("links for %s: want a second to 30 days, or 0 for no end", d)
	}
	if err := c.wires.take(ctx); err != nil {
		return err
	}
	defer c.wires.give()
	if members == nil {
		if members, err = c.daemon.List(ctx, c.name); err != nil {
			return err
		}
	}
	to, err := matrix(links, members)
	if err != nil {
		return err
	}
	client, err := c.agent(ctx, members, len(to) > 0)
	if err != nil {
		return err
	}
	if client == nil { // nothing is in force, and nothing shall be
		return nil
	}
	if err := able(ctx, client, to); err != nil {
		return err
	}
	from, err := client.Status(ctx)
	if err != nil {
		return err
	}
	check, err := c.wires.probes.Prepare(ctx, c.history, members, from.Matrix, to)
	if err != nil {
		return err
	}
	at, err := c.enforce(ctx, client, to, d)
	if err != nil {
		return err
	}
	if !maps.Equal(from.Matrix, to) {
		c.recorder.RecordLinks(links, at)
	}
	return check.Run(ctx)
}

// take waits for the turn, and fails if what was in force was lost.
func (w *wires) take(ctx context.Context) error {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := w.news(); err != nil {
		w.give()
		return err
	}
	return nil
}

func (w *wires) give() { <-w.turn }

// news tells, once, that links were lost.
func (w *wires) news() error {
	select {
	case err := <-w.lost:
		return err
	default:
		return nil
	}
}

// matrix turns names into addresses.
func matrix(links testbed.Links, members []dockerd.Member) (fabric.Matrix, error) {
	names, byName := make([]string, len(members)), make(map[string]dockerd.Member)
	for i, m := range members {
		names[i], byName[m.Name] = m.Name, m
	}
	if err := links.Check(names); err != nil {
		return nil, fmt.Errorf("links: %w", err)
	}
	m := make(fabric.Matrix, len(links))
	for pair, link := range links {
		if link == (testbed.Link{}) {
			continue
		}
		for _, name := range []string{pair.From, pair.To} {
			if member := byName[name]; member.OffNetwork {
				return nil, fmt.Errorf("links: %w", offNetwork(member))
			} else if !member.Addr.Is4() {
				return nil, fmt.Errorf("links: %s has no address that stays, and does not run: start it first", name)
			}
		}
		m[fabric.Pair{From: byName[pair.From].Addr, To: byName[pair.To].Addr}] = link
	}
	return m, nil
}

// able says what the kernel lacks for m.
func able(ctx context.Context, client *fabric.Client, m fabric.Matrix) error {
	if len(m.Needs()) == 1 {
		return nil // nf_tables, without which there would be no agent
	}
	features, err := client.Features(ctx)
	if err != nil {
		return err
	}
	return probe.Unable(m.CheckFeatures(features))
}

// enforce puts the matrix in force for a time, or as long as it is looked
// after, or for good. It returns since when the kernel follows.
func (c *Cluster) enforce(ctx context.Context, client *fabric.Client, m fabric.Matrix, d time.Duration) (time.Time, error) {
	lease := d
	switch {
	case len(m) == 0:
		lease = 0
	case d == 0 && c.made != nil && !c.made.Keep:
		lease = fabric.DefaultLease
	}
	c.wires.let()
	c.wires.let, c.wires.held = func() {}, false
	at, err := client.Apply(ctx, m, lease)
	switch {
	case err != nil:
		return at, err
	case len(m) == 0:
	case d == 0:
		c.wires.held = true
		c.lookAfter(func(ctx context.Context) { c.hold(ctx, client) })
	default:
		c.lookAfter(func(ctx context.Context) { c.see(ctx, client, at.Add(d)) })
	}
	return at, nil
}

// readdress has what is in force, if anything is, apply to another address of
// a peer.
func (c *Cluster) readdress(ctx context.Context, before, after netip.Addr) error {
	if err := c.wires.take(ctx); err != nil {
		return err
	}
	defer c.wires.give()
	members, err := c.daemon.List(ctx, c.name)
	if err != nil {
		return err
	}
	client, err := c.agent(ctx, members, false)
	if err != nil || client == nil {
		return err
	}
	status, err := client.Status(ctx)
	if err != nil || len(status.Matrix) == 0 {
		return err
	}
	moved := func(addr netip.Addr) netip.Addr {
		if addr == before {
			return after
		}
		return addr
	}
	to := make(fabric.Matrix, len(status.Matrix))
	for pair, link := range status.Matrix {
		to[fabric.Pair{From: moved(pair.From), To: moved(pair.To)}] = link
	}
	var left time.Duration
	if !c.wires.held && !status.Until.IsZero() {
		left = max(time.Until(status.Until), time.Second)
	}
	at, err := c.enforce(ctx, client, to, left)
	c.recorder.NoteChange(at) // of addresses alone
	return err
}

// lookAfter runs f until other links are set.
func (c *Cluster) lookAfter(f func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(c.ctx)
	done := make(chan struct{})
	c.running.Go(func() {
		defer close(done)
		f(ctx)
	})
	c.wires.let = func() { cancel(); <-done }
}

// hold keeps what is in force, and tells if it is lost.
func (c *Cluster) hold(ctx context.Context, client *fabric.Client) {
	err := client.Hold(ctx)
	if err == nil {
		return
	}
	err = fmt.Errorf("the links that were set are no longer in force: %w", err)
	select { // before it is in the history: who reads it there learns it from the next call
	case c.wires.lost <- err:
	default:
	}
	c.recorder.Problem("", err)
}

// see records the end of links that were set for a time.
func (c *Cluster) see(ctx context.Context, client *fabric.Client, end time.Time) {
	wait := time.NewTimer(time.Until(end))
	defer wait.Stop()
	for {
		select {
		case <-wait.C:
		case <-ctx.Done():
			return
		}
		status, err := client.Status(ctx)
		switch {
		case err != nil:
			return // the agent is gone, and so is the network
		case !status.Lapsed.IsZero():
			c.recorder.RecordLinks(nil, status.Lapsed)
			return
		case status.Until.IsZero() || status.Until.After(end.Add(time.Second)):
			return // somebody else has set others
		}
		wait.Reset(100 * time.Millisecond)
	}
}

// Links implements testbed.Engine. It asks the kernel's keeper, so it knows
// what other programs have set.
func (c *Cluster) Links(ctx context.Context) (testbed.Links, error) {
	members, err := c.daemon.List(ctx, c.name)
	if err != nil {
		return nil, err
	}
	s := LinkState{cluster: c, members: members}
	err = s.read(ctx)
	return s.Links, err
}

// LinkState is what is in force between the peers of a cluster. It lists the
// containers once, however often the links are set.
type LinkState struct {
	Peers []testbed.Peer // as of Peers, without why they ended
	Links testbed.Links
	Until time.Time // when the links end unless somebody renews them, zero if they stay

	cluster *Cluster
	members []dockerd.Member
}

// LinkState returns the peers, and the links as Links does. The first time the peers
// of a cluster that was found are those that Find saw.
func (c *Cluster) LinkState(ctx context.Context) (*LinkState, error) {
	c.mu.Lock()
	members := c.found
	c.found = nil
	c.mu.Unlock()
	if members == nil {
		var err error
		if members, err = c.daemon.List(ctx, c.name); err != nil {
			return nil, err
		}
	}
	s := &LinkState{cluster: c, members: members}
	for _, m := range members {
		s.Peers = append(s.Peers, m.Peer)
	}
	return s, s.read(ctx)
}

// Set is SetLinksFor. Links and Until are then what it came to, also where a fault
// had no effect.
func (s *LinkState) Set(ctx context.Context, links testbed.Links, d time.Duration) error {
	err := s.cluster.setLinks(ctx, s.members, links, d)
	if err != nil && !errors.As(err, new(*testbed.NoEffectError)) {
		return err // nothing has changed
	}
	return errors.Join(err, s.read(ctx))
}

// read reads the links.
func (s *LinkState) read(ctx context.Context) error {
	c := s.cluster
	if err := c.wires.take(ctx); err != nil {
		return err
	}
	defer c.wires.give()
	s.Links, s.Until = testbed.Links{}, time.Time{}
	client, err := c.agent(ctx, s.members, false)
	if err != nil || client == nil {
		return err
	}
	status, err := client.Status(ctx)
	if err != nil {
		return err
	}
	s.Links, s.Until = named(status.Matrix, s.members), status.Until
	return nil
}

// named turns addresses into names. Those of nobody are left out.
func named(m fabric.Matrix, members []dockerd.Member) testbed.Links {
	names := dockerd.NamesByAddr(members)
	links := make(testbed.Links, len(m))
	for pair, link := range m {
		if from, to := names[pair.From], names[pair.To]; from != "" && to != "" {
			links[testbed.Pair{From: from, To: to}] = link
		}
	}
	return links
}

// Measure sends packets from one peer to another and says what became of them,
// whatever is in force on their link. It leaves the history alone.
func (c *Cluster) Measure(ctx context.Context, from, to string) (fabric.Measurement, error) {
	if err := c.wires.take(ctx); err != nil {
		return fabric.Measurement{}, err
	}
	defer c.wires.give()
	ends, err := c.pick(ctx, []string{from, to})
	if err != nil {
		return fabric.Measurement{}, err
	}
	for _, m := range ends {
		if m.OffNetwork {
			return fabric.Measurement{}, offNetwork(m)
		}
	}
	probers, err := c.wires.probes.Probers(ctx, ends)
	if err != nil {
		return fabric.Measurement{}, err
	}
	if len(ends) != 2 || len(probers) != 2 {
		return fabric.Measurement{}, fmt.Errorf("measure %s to %s: it takes two peers that run", from, to)
	}
	results, err := fabric.Matrix{}.Measure(ctx, probers, []fabric.Pair{{From: ends[0].Addr, To: ends[1].Addr}})
	if err != nil {
		return fabric.Measurement{}, err
	}
	return results[0], nil
}

// close ends the looking after links and removes the probes. It may be called
// again.
func (w *wires) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	w.turn <- struct{}{}
	defer w.give()
	w.let()
	err := w.probes.Close(ctx)
	if w.client != nil {
		w.client.Close()
	}
	return err
}
