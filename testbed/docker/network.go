package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
)

// firstHost is the number of the bootstrap service's address within the
// cluster's range, as in docker-compose.yml: .10.
const firstHost = 10

// networkName names the network and, with a peer's name, the containers.
func (c *Cluster) networkName() string { return dockerd.NetworkName(c.name) }

func endpoint(name string, addr netip.Addr) *network.EndpointSettings {
	return &network.EndpointSettings{
		Aliases:    []string{name},
		IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: addr},
	}
}

// createNetwork makes a network whose addresses can be chosen. Docker allows
// that only in a range that was asked for, and knows best which range is free
// on this host: so ask for one it has just picked.
func (c *Cluster) createNetwork(ctx context.Context) (netip.Prefix, error) {
	if subnet := c.made.Subnet; subnet.IsValid() {
		_, err := c.askNetwork(ctx, subnet)
		if err != nil && strings.Contains(err.Error(), "overlap") {
			return subnet, fmt.Errorf("%w: %s: choose another with --subnet, or none for a free one", ErrSubnet, subnet)
		}
		return subnet, err
	}
	var errs []error
	for range 10 {
		id, err := c.askNetwork(ctx, netip.Prefix{})
		if err != nil {
			return netip.Prefix{}, err
		}
		info, err := c.daemon.API.NetworkInspect(ctx, id, client.NetworkInspectOptions{})
		_, gone := c.daemon.API.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
		if err := errors.Join(err, gone); err != nil {
			return netip.Prefix{}, fmt.Errorf("find a free range of addresses: %w", err)
		}
		if len(info.Network.IPAM.Config) == 0 {
			return netip.Prefix{}, errors.New("find a free range of addresses: the network has none")
		}
		subnet := info.Network.IPAM.Config[0].Subnet.Masked()
		if _, err = c.askNetwork(ctx, subnet); err == nil {
			return subnet, nil
		}
		errs = append(errs, err) // somebody was faster
	}
	return netip.Prefix{}, fmt.Errorf("find a free range of addresses: %w", errors.Join(errs...))
}

func (c *Cluster) askNetwork(ctx context.Context, subnet netip.Prefix) (id string, err error) {
	o := client.NetworkCreateOptions{Driver: "bridge", Labels: c.made.labels(c.name)}
	if subnet.IsValid() {
		if tuning := c.made.Tuning.String(); tuning != "" {
			o.Labels[dockerd.TuningLabel] = tuning
		}
		subnet = subnet.Masked()
		o.IPAM = &network.IPAM{Config: []network.IPAMConfig{{
			Subnet: subnet, Gateway: hostOf(subnet, 1), IPRange: rangeForOthers(subnet, len(c.made.Peers)),
		}}}
	}
	ctx, cancel, err := dockerd.CreateContext(ctx)
	if err != nil {
		return "", err
	}
	defer cancel()
	made, err := c.daemon.API.NetworkCreate(ctx, c.networkName(), o)
	if err != nil {
		return "", fmt.Errorf("create the network %s: %w", c.networkName(), err)
	}
	return made.ID, nil
}

// Move implements testbed.Engine. The bootstrap service stays where it is: the
// peers have been told.
func (c *Cluster) Move(ctx context.Context, name string) (netip.Addr, error) {
	picked, err := c.pick(ctx, []string{name})
	if err != nil {
		return netip.Addr{}, err
	}
	m := picked[0]
	switch {
	case name == testbed.Bootstrap:
		return m.Addr, errors.New("bootstrap cannot move: the peers know its address")
	case m.State != testbed.Stopped:
		return m.Addr, fmt.Errorf("%s %w: stop or kill it first: a peer moves between two lives", name, testbed.ErrRunning)
	}
	if m.OffNetwork {
		return m.Addr, fmt.Errorf("move: %w", offNetwork(m))
	}
	info, err := c.daemon.API.NetworkInspect(ctx, m.Network, client.NetworkInspectOptions{})
	if err != nil {
		return m.Addr, fmt.Errorf("look at the network %s: %w", m.Network, err)
	}
	members, err := c.daemon.List(ctx, c.name)
	if err != nil {
		return m.Addr, err
	}
	addr, err := c.nextAddr(members, info.Network)
	if err != nil {
		return m.Addr, fmt.Errorf("move %s: %w", name, err)
	}
	if err := c.readdress(ctx, m.Addr, addr); err != nil {
		return m.Addr, fmt.Errorf("move %s: its links: %w", name, err)
	}
	_, err = c.daemon.API.NetworkDisconnect(ctx, m.Network, client.NetworkDisconnectOptions{Container: m.ID, Force: true})
	if err != nil {
		return m.Addr, fmt.Errorf("take %s off its network: %w", name, err)
	}
	connect := func(ctx context.Context, to netip.Addr) error {
		_, err := c.daemon.API.NetworkConnect(ctx, m.Network, client.NetworkConnectOptions{Container: m.ID, EndpointConfig: endpoint(name, to)})
		return err
	}
	if err := connect(ctx, addr); err != nil {
		// Without a network it would be nobody's: back to where it was.
		ctx := context.WithoutCancel(ctx)
		back := errors.Join(connect(ctx, m.Addr), c.readdress(ctx, addr, m.Addr))
		return m.Addr, fmt.Errorf("move %s to %s: %w", name, addr, errors.Join(err, back))
	}
	c.record(testbed.LabMove, name, addr.String(), "")
	return addr, nil
}

// nextAddr chooses an address for a member that moves: after the one that was
// given last.
func (c *Cluster) nextAddr(members []dockerd.Member, n network.Inspect) (netip.Addr, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	addr, err := free(members, n, c.lastMove)
	if err == nil {
		c.lastMove = addr
	}
	return addr, err
}

// free returns an address of a network that nobody on it has: the next after
// last, or without that after the highest of the members. So it is new to those
// that know where peers were, until the range is used up: then it begins anew.
func free(members []dockerd.Member, n network.Inspect, last netip.Addr) (netip.Addr, error) {
	var subnet, others netip.Prefix
	used := make(map[netip.Addr]bool)
	highest := last
	for _, config := range n.IPAM.Config {
		if config.Subnet.Addr().Is4() && !subnet.IsValid() {
			subnet, others = config.Subnet.Masked(), config.IPRange
			used[config.Gateway] = true
			for _, addr := range config.AuxAddress {
				used[addr] = true
			}
		}
	}
	if !subnet.IsValid() {
		return netip.Addr{}, fmt.Errorf("the network %s has no range of IPv4", n.Name)
	}
	for _, e := range n.Containers {
		used[e.IPv4Address.Addr()] = true
	}
	for _, m := range members {
		used[m.Addr] = true
		if others.IsValid() && others.Contains(m.Addr) {
			others = netip.Prefix{} // the members are those that it is for
		}
		if !last.IsValid() && subnet.Contains(m.Addr) && (!highest.IsValid() || highest.Less(m.Addr)) {
			highest = m.Addr
		}
	}
	size := 1 << (32 - subnet.Bits())
	first := hostOf(subnet, 1)
	if size > firstHost+1 {
		first = hostOf(subnet, firstHost)
	}
	addr := highest
	for range size {
		addr = addr.Next()
		if !subnet.Contains(addr) {
			addr = first
		}
		// A range ends with the address to all of it.
		if !used[addr] && subnet.Contains(addr.Next()) && (!others.IsValid() || !others.Contains(addr)) {
			return addr, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("every address of the network %s (%s) is in use: choose a larger range with --subnet", n.Name, subnet)
}

// hostOf returns the n-th address of a range.
func hostOf(subnet netip.Prefix, n int) netip.Addr {
	addr := subnet.Masked().Addr()
	for range n {
		addr = addr.Next()
	}
	return addr
}

// rangeForOthers is what Docker gives addresses from to containers that somebody
// else connects to the network of a cluster: the last quarter of its range. So
// none gets that of a peer which does not run, and what is done to its links. A
// range that is small for its peers has none.
func rangeForOthers(subnet netip.Prefix, peers int) netip.Prefix {
	const quarter = 2 // bits
	size := 1 << (32 - subnet.Bits())
	if subnet.Bits() > 24 || size/4*3 < firstHost+1+2*peers {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(hostOf(subnet, size/4*3), subnet.Bits()+quarter)
}

// offNetwork says what is the matter with a member that was taken off the network
// of its cluster.
func offNetwork(m dockerd.Member) error {
	return fmt.Errorf("%s is off the network of the cluster, somebody disconnected it: docker network connect %s %s brings it back", m.Name, cmp.Or(m.Network, "NETWORK"), m.ID[:min(12, len(m.ID))])
}
