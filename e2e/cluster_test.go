package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"

	"peerlab/observe/theory"
)

// five is the usual cluster.
var five = []string{"alice", "bob", "charly", "dave", "erin"}

// others returns five without some.
func others(without ...string) []string {
	return slices.DeleteFunc(slices.Clone(five), func(name string) bool { return slices.Contains(without, name) })
}

// retransmits is RetransmitMult here. The local profile's 2 makes two packets
// of each rumour per member: in a cluster of five, every tenth rumour or so
// misses somebody, who then waits for the next push/pull. These tests are about
// what happens when gossip works.
const retransmits = "8"

// predicted is what theory says about five with the local profile.
var predicted = theory.Of(memberlist.DefaultLocalConfig(), len(five))

const (
	// rejoinEvery is the interval the clusters here run with, and rejoinMost
	// what jitter makes of it at the most.
	rejoinEvery = 5 * time.Second
	rejoinMost  = rejoinEvery * 3 / 2
	// grace is what a busy host may add to what theory says.
	grace = 2 * time.Second
)

// cluster is a bootstrap service and peers on a network of their own, gone
// when its test ends.
type cluster struct {
	*history
	rejoin time.Duration
	net    *testcontainers.DockerNetwork
	subnet netip.Prefix

	follow  context.Context // ends the reading of logs
	reading sync.WaitGroup

	mu    sync.Mutex
	addrs map[string]netip.Addr
	last  netip.Addr            // the last address given out
	lives map[string]*container // by name, the latest life of each
	all   []*container
}

// newCluster returns a network with a running bootstrap service.
func newCluster(t *testing.T, rejoin time.Duration) *cluster {
	t.Helper()
	if shared.missing != nil {
		t.Skip(shared.missing)
	}
	follow, cancel := context.WithCancel(context.Background())
	c := &cluster{
		history: newHistory(), rejoin: rejoin, follow: follow,
		addrs: make(map[string]netip.Addr), lives: make(map[string]*container),
	}
	t.Cleanup(func() {
		c.remove(t)
		cancel()
		c.reading.Wait()
		for _, problem := range c.problems {
			t.Error(problem)
		}
		if t.Failed() {
			t.Log(c.describe())
		}
	})
	if err := c.createNetwork(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.start(t, bootstrap)
	return c
}

// newFive returns a cluster of five that see each other.
func newFive(t *testing.T, rejoin time.Duration) *cluster {
	t.Helper()
	c := newCluster(t, rejoin)
	c.start(t, five...)
	c.awaitFive(t, 30*time.Second)
	return c
}

func (c *cluster) awaitFive(t *testing.T, within time.Duration) {
	t.Helper()
	c.await(t, within, "each of five sees all five", sees(five, "alive", five...))
}

// createNetwork makes a network whose addresses can be chosen. Docker allows
// that only in a range that was asked for, and knows best which range is free
// on this host: so ask for one it has just picked.
func (c *cluster) createNetwork(ctx context.Context) error {
	labels := tcnetwork.WithLabels(map[string]string{ownerLabel: string(shared.owner)})
	var errs []error
	for range 10 {
		picked, err := tcnetwork.New(ctx, labels)
		if err != nil {
			return fmt.Errorf("create a network: %w", err)
		}
		info, err := shared.docker.NetworkInspect(ctx, picked.ID, inspectNetwork)
		if err := errors.Join(err, picked.Remove(ctx)); err != nil {
			return fmt.Errorf("find a free range of addresses: %w", err)
		}
		if len(info.Network.IPAM.Config) == 0 {
			return errors.New("find a free range of addresses: the network has none")
		}
		c.subnet = info.Network.IPAM.Config[0].Subnet.Masked()
		c.net, err = tcnetwork.New(ctx, labels,
			tcnetwork.WithIPAM(&network.IPAM{Config: []network.IPAMConfig{{Subnet: c.subnet}}}))
		if err == nil {
			c.last = c.subnet.Addr()
			for range 9 {
				c.last = c.last.Next() // leave the lowest to the gateway
			}
			return nil
		}
		errs = append(errs, err) // somebody was faster
	}
	return fmt.Errorf("create a network with a range of its own: %w", errors.Join(errs...))
}

// addr returns the address of a peer, the same in all its lives.
func (c *cluster) addr(name string) netip.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.addrs[name].IsValid() {
		c.last = c.last.Next()
		c.addrs[name] = c.last
	}
	return c.addrs[name]
}

// move gives a peer another address for its next life.
func (c *cluster) move(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = c.last.Next()
	c.addrs[name] = c.last
}

// bootstrap is the name of the bootstrap service; all others are peers.
const bootstrap = "bootstrap"

// start starts a new container for each, at the same time.
func (c *cluster) start(t *testing.T, names ...string) {
	t.Helper()
	shared.starting <- struct{}{}
	defer func() { <-shared.starting }()
	for _, name := range names {
		c.addr(name) // in the order of names, not of goroutines
	}
	var starting sync.WaitGroup
	errs := make([]error, len(names))
	for i, name := range names {
		starting.Go(func() {
			if name == bootstrap {
				errs[i] = c.run(t.Context(), name, shared.images.bootstrap, nil)
				return
			}
			errs[i] = c.run(t.Context(), name, shared.images.peer, c.environment(name))
		})
	}
	starting.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// environment is what a peer of this cluster is started with.
func (c *cluster) environment(name string) map[string]string {
	return map[string]string{
		"PEER_NAME":      name,
		"PEER_BOOTSTRAP": "http://" + c.addr(bootstrap).String() + ":8080",
		"PEER_PROFILE":   "local",
		"PEER_REJOIN":    c.rejoin.String(),
		"PEER_SET":       "RetransmitMult=" + retransmits,
		"PEER_LOG_LEVEL": "debug",
	}
}

// life returns the container of a peer that was started.
func (c *cluster) life(t *testing.T, name string) *container {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lives[name] == nil {
		t.Fatalf("%s was never started", name)
	}
	return c.lives[name]
}

// remove removes the containers and the network.
func (c *cluster) remove(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c.mu.Lock()
	all := slices.Clone(c.all)
	c.mu.Unlock()
	// One after the other: see testbed/docker's removeContainers.
	for _, life := range all {
		if _, err := shared.docker.ContainerRemove(ctx, life.GetContainerID(), removeContainer); err != nil {
			t.Errorf("remove %s: %v", life.name, err)
		}
	}
	if c.net == nil {
		return
	}
	if err := c.net.Remove(ctx); err != nil {
		t.Errorf("remove the network: %v", err)
	}
}

// describe is what one wants to read when a test has failed.
func (c *cluster) describe() string {
	var b strings.Builder
	b.WriteString(c.history.String())
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(c.lives)) {
		fmt.Fprintf(&b, "--- %s said last:\n%s", name, c.lives[name].lastWords())
	}
	return b.String()
}
