package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/docker/probe"
	"peerlab/testbed/docker/record"
	"peerlab/testbed/fabric"
)

// agentPatience bounds the start of an agent, a matter of half a second.
const agentPatience = 20 * time.Second

// agent returns a client of the agent on the cluster's network. If none runs
// it starts one, or returns nil if it is not to.
func (c *Cluster) agent(ctx context.Context, members []dockerd.Member, start bool) (*fabric.Client, error) {
	lab, bridge, err := c.bridge(ctx, members)
	if err != nil {
		if !start && errors.Is(err, testbed.ErrUnable) {
			return nil, nil
		}
		return nil, err
	}
	w := &c.wires
	if w.client == nil || w.lab != lab {
		if w.client != nil {
			w.client.Close()
		}
		w.lab, w.client = lab, fabric.NewClient(fabric.SocketOf(lab))
	}
	if _, err := w.client.Status(ctx); err == nil {
		return w.client, nil
	} else if ctx.Err() != nil {
		return nil, err
	}
	if !start {
		return nil, nil
	}
	for tries := 1; ; tries++ {
		err := c.startAgent(ctx, lab, bridge)
		switch {
		case err == nil:
			return w.client, nil
		case tries == 3 || !errdefs.IsConflict(err) && !errdefs.IsNotFound(err):
			return nil, fmt.Errorf("start the fabric's agent: %w", err)
		case !dockerd.WaitToRetry(c.ctx): // one that ends has the name still
			return nil, c.ctx.Err()
		}
	}
}

// bridge returns what names the cluster's network for the fabric, and its
// device on this host. A new network of the same name is another one.
func (c *Cluster) bridge(ctx context.Context, members []dockerd.Member) (lab, device string, err error) {
	name := dockerd.NetworkOf(members)
	if name == "" {
		return "", "", fmt.Errorf("links %w: the peers are on no network", testbed.ErrUnable)
	}
	info, err := c.daemon.API.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
	if err != nil {
		return "", "", fmt.Errorf("look at the network %s: %w", name, err)
	}
	n := info.Network
	if err := record.CheckAddresses(members, n); err != nil {
		return "", "", err
	}
	if n.Driver != "bridge" || len(n.ID) < 12 {
		return "", "", fmt.Errorf("links %w: the network %s is not a bridge of this host (%s)", testbed.ErrUnable, name, n.Driver)
	}
	lab = n.ID[:12]
	device = n.Options["com.docker.network.bridge.name"]
	if device == "" {
		device = "br-" + lab
	}
	return lab, device, nil
}

func (c *Cluster) fabricImage() string {
	if c.made != nil {
		return probe.FabricImage(c.daemon, c.made.FabricImage)
	}
	return probe.FabricImage(c.daemon, "")
}

// startAgent starts the agent and returns when it answers. If somebody else is
// about to, it helps.
func (c *Cluster) startAgent(ctx context.Context, lab, bridge string) error {
	ctx, cancel := context.WithTimeout(ctx, agentPatience)
	defer cancel()
	labels := map[string]string{dockerd.ClusterLabel: c.name, dockerd.HelperLabel: dockerd.AgentHelper}
	if c.made != nil {
		labels = c.made.labels(c.name)
		labels[dockerd.HelperLabel] = dockerd.AgentHelper
	}
	name := dockerd.AgentName(lab)
	id, err := probe.CreateContainer(ctx, c.daemon, name, labels,
		&api.Config{
			Image: c.fabricImage(), AttachStderr: true,
			Cmd: []string{"agent", "--lab", lab, "--bridge", bridge, "--uid", strconv.Itoa(os.Getuid())},
		},
		// The agent is root in no namespace but the host's.
		&api.HostConfig{NetworkMode: "host", UsernsMode: "host", CapAdd: []string{"NET_ADMIN"}, LogConfig: logTo(eventLog), Resources: agentLimits.resources()},
	)
	switch {
	case errdefs.IsConflict(err):
		id = name
	case err != nil:
		return err
	}
	said := probe.Output{Limit: probe.ErrorLimit}
	ended, detach, err := probe.Listen(ctx, c.daemon, id, &said)
	if err != nil {
		return err
	}
	defer detach()
	if _, err := c.daemon.API.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return errors.Join(err, c.daemon.RemoveContainer(context.WithoutCancel(ctx), id))
	}
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(ended, stop)()
	if err := c.wires.client.Wait(waiting); err == nil {
		return nil
	}
	if ended.Err() != nil {
		return fmt.Errorf("links %w: %s", testbed.ErrUnable, probe.LastLine(said.String()))
	}
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err()
	}
	return fmt.Errorf("links %w: the agent runs and cannot be reached at %s: only programs on Docker's own host can, of root or of the user who started it", testbed.ErrUnable, fabric.SocketOf(lab))
}
