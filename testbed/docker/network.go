package docker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"peerlab/testbed"
)

// firstHost is the number of the bootstrap service's address within the
// cluster's range, as in docker-compose.yml: .10.
const firstHost = 10

// networkName names the network and, with a peer's name, the containers.
func (c *Cluster) networkName() string { return networkName(c.name) }

func networkName(cluster string) string {
	if strings.HasPrefix(cluster, "peerlab") {
		return cluster
	}
	return "peerlab-" + cluster
}

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
		info, err := c.daemon.api.NetworkInspect(ctx, id, client.NetworkInspectOptions{})
		_, gone := c.daemon.api.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
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

// creating returns the context for a request that creates something, unless
// ctx has ended. Once sent, such a request is not cut off: Docker would create
// the thing all the same, perhaps after the clean-up has looked.
func creating(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	return ctx, cancel, nil
}

func (c *Cluster) askNetwork(ctx context.Context, subnet netip.Prefix) (id string, err error) {
	o := client.NetworkCreateOptions{Driver: "bridge", Labels: c.made.labels(c.name)}
	if subnet.IsValid() {
		o.IPAM = &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet.Masked()}}}
	}
	ctx, cancel, err := creating(ctx)
	if err != nil {
		return "", err
	}
	defer cancel()
	made, err := c.daemon.api.NetworkCreate(ctx, c.networkName(), o)
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
	members, err := c.daemon.list(ctx, c.name)
	if err != nil {
		return m.Addr, err
	}
	addr, err := free(members)
	if err != nil {
		return m.Addr, err
	}
	if err := c.readdress(ctx, m.Addr, addr); err != nil {
		return m.Addr, fmt.Errorf("move %s: its links: %w", name, err)
	}
	_, err = c.daemon.api.NetworkDisconnect(ctx, m.network, client.NetworkDisconnectOptions{Container: m.id, Force: true})
	if err != nil {
		return m.Addr, fmt.Errorf("take %s off its network: %w", name, err)
	}
	connect := func(ctx context.Context, to netip.Addr) error {
		_, err := c.daemon.api.NetworkConnect(ctx, m.network, client.NetworkConnectOptions{Container: m.id, EndpointConfig: endpoint(name, to)})
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
