package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"

	"peerlab/event"
	"peerlab/peer/files"
	"peerlab/peer/membership"
	"peerlab/testbed"
)

// firstAddr is the bootstrap service's; the peers follow, as on Docker.
var firstAddr = netip.AddrFrom4([4]byte{10, 77, 0, 10})

// Cluster is the engine in virtual time. It must be used within its Run.
type Cluster struct {
	sim     *simulation
	spec    testbed.Spec
	network *network
	history *testbed.History
	members map[string]*member // bootstrap among them
	order   []string           // their names: bootstrap, then by name
	running sync.WaitGroup
	shared  membership.Shared

	mu     sync.Mutex
	links  testbed.Links
	next   netip.Addr // that nobody has had
	closed bool
}

var _ testbed.Engine = (*Cluster)(nil)

func newCluster(s *simulation, spec testbed.Spec) *Cluster {
	c := &Cluster{
		sim: s, spec: spec, network: newNetwork(s.seed, s.happened), history: testbed.NewHistory(),
		members: make(map[string]*member), next: firstAddr, links: testbed.Links{},
	}
	for _, name := range append([]string{testbed.Bootstrap}, spec.Peers...) {
		c.members[name] = &member{
			cluster: c, host: c.network.add(name, c.next), files: files.NewMemory(), turn: make(chan struct{}, 1),
			phases: newSource(s.seed, "start of "+name), state: testbed.Stopped, ended: make(chan struct{}), woken: make(chan struct{}),
		}
		c.next = c.next.Next()
	}
	c.order = append([]string{testbed.Bootstrap}, slices.Sorted(slices.Values(spec.Peers))...)
	return c
}

// Peers implements testbed.Engine.
func (c *Cluster) Peers(context.Context) ([]testbed.Peer, error) {
	peers := make([]testbed.Peer, len(c.order))
	for i, name := range c.order {
		peers[i] = c.members[name].peer()
	}
	return peers, nil
}

// resolve returns where a peer is, or the bootstrap service, by its name. What does
// not run has no address, as on Docker.
func (c *Cluster) resolve(_ context.Context, host string) ([]netip.Addr, error) {
	if m := c.members[host]; m != nil && m.now() != testbed.Stopped {
		return []netip.Addr{m.peer().Addr}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// History implements testbed.Engine.
func (c *Cluster) History() *testbed.History { return c.history }

func (c *Cluster) record(kind event.Kind, member, addr, text string) {
	c.history.Record(event.Event{Kind: kind, Member: member, Addr: addr, Text: text})
}

var errClosed = errors.New("the cluster is closed")

// on calls f for each of the named, all at the same time.
func (c *Cluster) on(ctx context.Context, doing string, names []string, f func(context.Context, *member) error) error {
	for _, name := range names {
		if c.members[name] == nil {
			return testbed.NoPeer(name, c.order)
		}
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return errClosed
	}
	c.running.Add(len(names))
	c.mu.Unlock()
	errs := make([]error, len(names))
	var working sync.WaitGroup
	for i, name := range names {
		working.Go(func() {
			defer c.running.Done()
			m := c.members[name]
			select {
			case m.turn <- struct{}{}:
			case <-ctx.Done():
				errs[i] = fmt.Errorf("%s %s: %w", doing, name, ctx.Err())
				return
			}
			defer func() { <-m.turn }()
			if err := f(ctx, m); err != nil {
				errs[i] = fmt.Errorf("%s %s: %w", doing, name, err)
			}
		})
	}
	working.Wait()
	return errors.Join(errs...)
}

// SetLinks implements testbed.Engine. It measures nothing: what the network does
// with a packet is what its links say, and the tests of this package measure
// that it is.
func (c *Cluster) SetLinks(_ context.Context, links testbed.Links) error {
	if err := links.Check(c.order); err != nil {
		return err
	}
	links = maps.Clone(links)
	if links == nil {
		links = testbed.Links{}
	}
	maps.DeleteFunc(links, func(_ testbed.Pair, l testbed.Link) bool { return l == testbed.Link{} })
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	if c.links.Changed(links) == 0 {
		return nil
	}
	c.links = links
	c.record(links.Kind(), "", "", links.String())
	c.network.setLinks(links)
	return nil
}

// Links implements testbed.Engine.
func (c *Cluster) Links(context.Context) (testbed.Links, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.links), nil
}

// Close implements testbed.Engine. It ends the peers as Kill does.
func (c *Cluster) Close(context.Context) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	c.history.Close()
	for _, m := range c.members {
		m.vanish(killed)
	}
	c.running.Wait()
	c.network.close()
	var errs []error
	for _, m := range c.members {
		errs = append(errs, m.files.Close())
	}
	return errors.Join(errs...)
}
