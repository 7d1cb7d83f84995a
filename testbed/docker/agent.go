package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
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
		return "", "", fmt.Errorf("links %w: the peers are on no network", cannot)
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
		return "", "", fmt.Errorf("links %w: the network %s is not a bridge of this host (%s)", cannot, name, n.Driver)
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
		return fabricImage(c.daemon, c.made.FabricImage)
	}
	return fabricImage(c.daemon, "")
}

func fabricImage(d *dockerd.Daemon, image string) string {
	return cmp.Or(image, d.FabricImage, "peerlab-fabric")
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
	id, err := createHelper(ctx, c.daemon, name, labels,
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
	said := bounded{limit: errorLimit}
	ended, detach, err := listen(ctx, c.daemon, id, &said)
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
		return fmt.Errorf("links %w: %s", cannot, lastLine(said.String()))
	}
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err()
	}
	return fmt.Errorf("links %w: the agent runs and cannot be reached at %s: only programs on Docker's own host can, of root or of the user who started it", cannot, fabric.SocketOf(lab))
}

// createHelper creates a container that goes when it ends, with no rights but
// those given, and the limits of a probe unless others are given.
func createHelper(ctx context.Context, d *dockerd.Daemon, name string, labels map[string]string, config *api.Config, host *api.HostConfig) (id string, err error) {
	config.Labels = labels
	if host.Resources.Memory == 0 {
		host.Resources = probeLimits.resources()
	}
	host.AutoRemove, host.ReadonlyRootfs = true, true
	host.CapDrop, host.SecurityOpt = []string{"ALL"}, []string{"no-new-privileges"}
	ctx, cancel, err := creating(ctx)
	if err != nil {
		return "", err
	}
	defer cancel()
	made, err := d.API.ContainerCreate(ctx, client.ContainerCreateOptions{Name: name, Config: config, HostConfig: host})
	if errdefs.IsNotFound(err) && strings.Contains(err.Error(), "image") {
		return "", fmt.Errorf("links %w: %w: %s: make image builds ours", cannot, ErrNoImage, config.Image)
	}
	if err != nil {
		return "", fmt.Errorf("create the container of the %s: %w", labels[dockerd.HelperLabel], err)
	}
	return made.ID, nil
}

// listen copies what a container writes to standard error until it ends, which
// ends the context, or the function is called.
func listen(ctx context.Context, d *dockerd.Daemon, id string, w io.Writer) (ended context.Context, detach func(), err error) {
	attached, err := d.API.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stderr: true})
	if err != nil {
		return nil, nil, fmt.Errorf("listen to a container: %w", err)
	}
	ended, end := context.WithCancel(context.Background())
	go func() {
		defer end()
		_, _ = stdcopy.StdCopy(io.Discard, w, attached.Reader)
	}()
	return ended, func() { attached.Close(); <-ended.Done() }, nil
}

// lastLine is what a program says before it fails.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	if text = strings.TrimPrefix(text, "fabric: "); text == "" {
		return "the agent ended without a word"
	}
	return text
}
