package docker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"peerlab/testbed"
)

// atOnce bounds how many containers are started, or otherwise worked on, at
// the same time: the daemon takes no more in the same time, and what runs
// already would feel it.
const atOnce = 8

// Options say what Create makes.
type Options struct {
	// Name is the cluster's, by which Find finds it; none is a new one.
	Name string
	// Peers are their names.
	Peers []string
	// Env is the environment of every peer, such as PEER_PROFILE.
	Env map[string]string
	// Subnet is the range of addresses, none for a free one. The first nine
	// are left out.
	Subnet netip.Prefix
	// PeerImage and BootstrapImage default to peerlab-peer and
	// peerlab-bootstrap.
	PeerImage, BootstrapImage string
	// Keep leaves the cluster to itself at Close. Without it, and until then,
	// the cluster is removed when this process ends, however it does.
	Keep bool
}

// Cluster is the engine on containers.
type Cluster struct {
	daemon  *Daemon
	name    string
	made    *making // nil for one that was found
	history *testbed.History

	ctx     context.Context // of what follows the cluster
	end     context.CancelFunc
	running sync.WaitGroup
	follow  sync.Once

	mu      sync.Mutex
	readers map[string]*reader // by container id
}

var _ testbed.Engine = (*Cluster)(nil)

// making is what Create knows of a cluster it makes.
type making struct {
	Options
	run      string
	watchdog *watchdog
}

func newCluster(d *Daemon, name string) *Cluster {
	ctx, cancel := context.WithCancel(context.Background())
	return &Cluster{
		daemon: d, name: name, history: testbed.NewHistory(),
		ctx: ctx, end: cancel, readers: make(map[string]*reader),
	}
}

// Name returns the cluster's name.
func (c *Cluster) Name() string { return c.name }

// Create makes a network and a container for the bootstrap service and for
// each peer. Start starts them. The program must begin with WatchIfAsked. The
// errors are ErrExists, ErrNoImage and ErrSubnet, among others; then nothing is
// left.
func (d *Daemon) Create(ctx context.Context, o Options) (*Cluster, error) {
	if err := d.check(ctx, &o); err != nil {
		return nil, err
	}
	m := &making{Options: o, run: newRun()}
	var err error
	if m.watchdog, err = startWatchdog(m.run); err != nil {
		return nil, err
	}
	c := newCluster(d, o.Name)
	c.made = m
	if err := c.create(ctx); err != nil {
		// By the run, not by the name: somebody else may have been faster.
		_, left := d.sweep(context.WithoutCancel(ctx), runLabel, func(labels map[string]string) bool { return labels[runLabel] == m.run })
		c.finish()
		return nil, errors.Join(err, left)
	}
	return c, nil
}

// check fills in what is missing and refuses what cannot work.
func (d *Daemon) check(ctx context.Context, o *Options) error {
	if o.Name == "" {
		o.Name = "lab-" + strings.ToLower(newRun()[:8])
	}
	if o.PeerImage == "" {
		o.PeerImage = "peerlab-peer"
	}
	if o.BootstrapImage == "" {
		o.BootstrapImage = "peerlab-bootstrap"
	}
	if err := testbed.CheckName(o.Name); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	if len(o.Peers) > testbed.MaxPeers {
		return fmt.Errorf("%d peers are too many: at most %d", len(o.Peers), testbed.MaxPeers)
	}
	for i, name := range o.Peers {
		if err := testbed.CheckName(name); err != nil {
			return err
		}
		if name == testbed.Bootstrap || name == testbed.Lab || slices.Contains(o.Peers[:i], name) {
			return fmt.Errorf("the name %s is taken", name)
		}
	}
	if o.Subnet.IsValid() && (!o.Subnet.Addr().Is4() || 1<<(32-o.Subnet.Bits()) < firstHost+len(o.Peers)+2) {
		return fmt.Errorf("subnet %s: want one of IPv4 with room for %d", o.Subnet, firstHost+len(o.Peers)+2)
	}
	names, err := d.Clusters(ctx)
	if err != nil {
		return err
	}
	if slices.Contains(names, o.Name) {
		return fmt.Errorf("%w: %s: remove it first (peerlab down), or choose another name with --cluster", ErrExists, o.Name)
	}
	for _, image := range []string{o.PeerImage, o.BootstrapImage} {
		if _, err := d.api.ImageInspect(ctx, image); errdefs.IsNotFound(err) {
			return fmt.Errorf("%w: %s: make image builds ours", ErrNoImage, image)
		} else if err != nil {
			return fmt.Errorf("look for the image %s: %w", image, err)
		}
	}
	return nil
}

func (c *Cluster) create(ctx context.Context) error {
	subnet, err := c.createNetwork(ctx)
	if err != nil {
		return err
	}
	addr := subnet.Masked().Addr()
	for range firstHost {
		addr = addr.Next()
	}
	bootstrap := addr
	names := append([]string{testbed.Bootstrap}, c.made.Peers...)
	addrs := make([]netip.Addr, len(names))
	for i := range names {
		addrs[i], addr = addr, addr.Next()
	}
	return each(names, func(i int, name string) error {
		return c.createContainer(ctx, name, addrs[i], bootstrap)
	})
}

func (c *Cluster) createContainer(ctx context.Context, name string, addr, bootstrap netip.Addr) error {
	image, env := c.made.BootstrapImage, []string(nil)
	var tmpfs map[string]string
	if name != testbed.Bootstrap {
		image = c.made.PeerImage
		tmpfs = map[string]string{"/run/peer": "uid=65532,gid=65532,mode=0700"}
		env = []string{"PEER_NAME=" + name, "PEER_BOOTSTRAP=http://" + bootstrap.String() + ":8080"}
		for key, value := range c.made.Env {
			env = append(env, key+"="+value)
		}
	}
	labels := c.made.labels(c.name)
	labels[peerLabel] = name
	_, err := c.daemon.api.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name: c.networkName() + "-" + name,
		Config: &api.Config{
			Image: image, Hostname: name, Env: env, Labels: labels,
			// Each check starts a process: what is measured here would notice.
			Healthcheck: &api.HealthConfig{Test: []string{"NONE"}},
		},
		HostConfig: &api.HostConfig{
			NetworkMode:    api.NetworkMode(c.networkName()),
			ReadonlyRootfs: true, Tmpfs: tmpfs,
			CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"},
			// Whatever the daemon's default: this one can be read, from the start.
			LogConfig: api.LogConfig{Type: "json-file"},
		},
		NetworkingConfig: &network.NetworkingConfig{
			EndpointsConfig: map[string]*network.EndpointSettings{c.networkName(): endpoint(name, addr)},
		},
	})
	if err != nil {
		return fmt.Errorf("create the container of %s: %w", name, err)
	}
	return nil
}

// labels mark what is made, so that it is found and, when it must, removed.
func (m *making) labels(cluster string) map[string]string {
	l := map[string]string{clusterLabel: cluster, runLabel: m.run}
	if !m.Keep {
		l[ownerLabel] = string(thisProcess())
	}
	return l
}

// Close implements testbed.Engine.
func (c *Cluster) Close(ctx context.Context) error {
	if c.made == nil || c.made.Keep {
		c.finish()
		return nil
	}
	return c.Remove(ctx)
}

// finish ends what follows the cluster and has the watchdog go.
func (c *Cluster) finish() {
	c.end()
	c.running.Wait()
	c.history.Close()
	if c.made != nil {
		c.made.watchdog.keep()
	}
}

// Remove removes the containers and networks of the cluster, however it was
// started, and closes it.
func (c *Cluster) Remove(ctx context.Context) error {
	err := c.daemon.removeCluster(ctx, c.name)
	if err != nil && c.made != nil && ctx.Err() != nil {
		c.made.watchdog.leaveTo() // it has more patience
	}
	c.finish()
	return err
}

// each calls f for every item, a bounded number at the same time, and joins
// the errors.
func each[T any](items []T, f func(int, T) error) error {
	errs := make([]error, len(items))
	slots := make(chan struct{}, atOnce)
	var working sync.WaitGroup
	for i, item := range items {
		slots <- struct{}{}
		working.Go(func() {
			defer func() { <-slots }()
			errs[i] = f(i, item)
		})
	}
	working.Wait()
	return errors.Join(errs...)
}
