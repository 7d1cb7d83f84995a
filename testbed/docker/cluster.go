package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"peerlab/internal/suggest"
	"peerlab/testbed"
	"peerlab/testbed/docker/adapter"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/docker/probe"
	"peerlab/testbed/docker/record"
)

// Cluster is the engine on containers.
type Cluster struct {
	daemon   *dockerd.Daemon
	name     string
	flag     string  // what --cluster has to say for a command to mean this one, "" if it need not
	made     *making // nil for one that was found
	history  *testbed.History
	recorder *record.Recorder // of history

	ctx     context.Context // of what follows the cluster
	end     context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	turns    map[string]chan struct{} // of who begins something in a container or pauses it, by its id
	lastMove netip.Addr               // that Move chose
	found    []dockerd.Member         // as Find saw them, for the first that asks

	wires wires
}

var _ testbed.Engine = (*Cluster)(nil)

// making is what Create knows of a cluster it makes.
type making struct {
	Options
	run      string
	watchdog *dockerd.Watchdog
}

func newCluster(d *dockerd.Daemon, name string) *Cluster {
	ctx, cancel := context.WithCancel(context.Background())
	history := testbed.NewHistory()
	return &Cluster{
		daemon: d, name: name, history: history, recorder: record.NewRecorder(ctx, d, name, history),
		ctx: ctx, end: cancel, turns: make(map[string]chan struct{}), wires: newWires(probe.NewSet(d, name, "", "")),
	}
}

// Name returns the cluster's name.
func (c *Cluster) Name() string { return c.name }

// Create makes a network and a container for the bootstrap service and for
// each peer. Start starts them. The program must begin with RunWatchdogIfRequested. The
// errors are ErrNoEntry, ErrExists, ErrNoImage and ErrSubnet, among others; then
// nothing is left.
func Create(ctx context.Context, d *dockerd.Daemon, o Options) (*Cluster, error) {
	if err := dockerd.CheckEntry(); err != nil {
		return nil, err
	}
	if err := o.complete(ctx, d); err != nil {
		return nil, err
	}
	m := &making{Options: o, run: dockerd.NewRunID()}
	var err error
	if m.watchdog, err = dockerd.StartWatchdog(m.run, d.Endpoint()); err != nil {
		return nil, err
	}
	c := newCluster(d, o.Name)
	if o.beside || o.Name != DefaultName {
		c.flag = o.Name
	}
	c.made = m
	c.recorder.SkipPast()
	c.wires.probes = probe.NewSet(d, o.Name, o.FabricImage, m.run)
	if err := c.create(ctx); err != nil {
		// By the run, not by the name: somebody else may have been faster.
		_, left := d.Sweep(context.WithoutCancel(ctx), dockerd.RunLabel, func(labels map[string]string) bool { return labels[dockerd.RunLabel] == m.run })
		return nil, errors.Join(err, left, c.finish(ctx))
	}
	return c, nil
}

func (c *Cluster) create(ctx context.Context) error {
	subnet, err := c.createNetwork(ctx)
	if err != nil {
		return err
	}
	addr := hostOf(subnet, firstHost)
	bootstrap := addr
	names := append([]string{testbed.Bootstrap}, c.made.Peers...)
	addrs := make([]netip.Addr, len(names))
	for i := range names {
		addrs[i], addr = addr, addr.Next()
	}
	return dockerd.Each(names, func(i int, name string) error {
		if name == testbed.Bootstrap && !c.made.Adapter.Bootstrap() {
			return nil
		}
		return c.createContainer(ctx, name, addrs[i], bootstrap)
	})
}

// contacts is how many peers one of a kind that has no bootstrap service is
// told of: the next of them answers where one does not.
const contacts = 3

// told is what a peer's adapter is told of it.
func (m *making) told(name string, bootstrap netip.Addr) adapter.Peer {
	others := slices.DeleteFunc(slices.Clone(m.Peers), func(other string) bool { return other == name })
	return adapter.Peer{Name: name, Service: bootstrap, Others: others[:min(contacts, len(others))], Settings: m.Settings}
}

func (c *Cluster) createContainer(ctx context.Context, name string, addr, bootstrap netip.Addr) error {
	image := c.made.BootstrapImage
	labels := c.made.labels(c.name)
	labels[dockerd.PeerLabel] = name
	var start adapter.Container
	var env []string
	limit, logSize := bootstrapLimits, plainLog
	if name != testbed.Bootstrap {
		image = c.made.PeerImage
		labels[dockerd.AdapterLabel] = c.made.Adapter.Name()
		var err error
		if start, err = c.made.Adapter.Start(c.made.told(name, bootstrap)); err != nil {
			return err
		}
		limit, logSize = c.made.peerLimits(start), eventLog
		env = c.made.environment(name, limit.environment(), start.Env)
	}
	ctx, cancel, err := dockerd.CreateContext(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	_, err = c.daemon.API.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name: c.networkName() + "-" + name,
		Config: &api.Config{
			Image: image, Hostname: name, Labels: labels,
			Cmd: start.Command, Env: env, StopSignal: start.StopSignal,
			Healthcheck: c.made.healthCheck(),
		},
		HostConfig: &api.HostConfig{
			NetworkMode:    api.NetworkMode(c.networkName()),
			ReadonlyRootfs: true, Tmpfs: start.Tmpfs,
			CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"},
			// Whatever the daemon's default: this one can be read, from the start.
			LogConfig: logTo(logSize), Resources: limit.resources(),
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

// environment is what its limits and a peer's adapter want it to be, with Env and
// Own on top.
func (m *making) environment(name string, wanted ...map[string]string) []string {
	set := make(map[string]string)
	for _, more := range wanted {
		maps.Copy(set, more)
	}
	maps.Copy(set, m.Env)
	maps.Copy(set, m.Own[name])
	env := make([]string, 0, len(set))
	for _, key := range slices.Sorted(maps.Keys(set)) {
		env = append(env, key+"="+set[key])
	}
	return env
}

// healthCheck is none, or that of the image.
func (m *making) healthCheck() *api.HealthConfig {
	if m.HealthChecks {
		return nil
	}
	return &api.HealthConfig{Test: []string{"NONE"}}
}

// labels mark what is made, so that it is found and, when it must, removed. All
// of ours are there, for a container has the labels of its image, too.
func (m *making) labels(cluster string) map[string]string {
	l := map[string]string{dockerd.ClusterLabel: cluster, dockerd.RunLabel: m.run, dockerd.OwnerLabel: "", dockerd.PeerLabel: "", dockerd.AdapterLabel: "", dockerd.HelperLabel: ""}
	if !m.Keep {
		l[dockerd.OwnerLabel] = string(dockerd.ThisProcess())
	}
	return l
}

// Close implements testbed.Engine.
func (c *Cluster) Close(ctx context.Context) error {
	if c.made == nil || c.made.Keep {
		return c.finish(ctx)
	}
	return c.Remove(ctx)
}

// finish ends what follows the cluster and has the watchdog go.
func (c *Cluster) finish(ctx context.Context) error {
	c.end()
	err := c.wires.close(context.WithoutCancel(ctx))
	c.running.Wait()
	c.recorder.Wait()
	c.history.Close()
	if c.made != nil {
		c.made.watchdog.Dismiss()
	}
	return err
}

// Remove removes the containers and networks of the cluster, however it was
// started, and closes it.
func (c *Cluster) Remove(ctx context.Context) error {
	c.recorder.Mute()
	// First, for links that go with their network are not lost.
	beside := c.wires.close(context.WithoutCancel(ctx))
	err := c.daemon.RemoveCluster(ctx, c.name)
	if err != nil && c.made != nil && ctx.Err() != nil {
		c.made.watchdog.RemoveAndWait() // it has more patience
	}
	return errors.Join(beside, err, c.finish(ctx))
}

// Find returns the cluster of that name, however it was started, or with ""
// the only one there is. Closing it changes nothing in the cluster. Without
// such a cluster the error is ErrNone, with several to choose from ErrSeveral.
func Find(ctx context.Context, d *dockerd.Daemon, name string) (*Cluster, error) {
	flag := name
	all, err := d.List(ctx, "")
	names := dockerd.ClusterNames(all)
	switch {
	case err != nil:
		return nil, err
	case name == "" && len(names) == 1:
		name = names[0]
	case len(names) == 0:
		return nil, fmt.Errorf("%w: there is none here: start one with peerlab up", ErrNone)
	case name == "":
		return nil, fmt.Errorf("%w: choose one with --cluster: %s", ErrSeveral, strings.Join(names, ", "))
	case !slices.Contains(names, name):
		hint := "there are " + strings.Join(names, ", ")
		if near := suggest.Similar(name, names); len(near) > 0 {
			hint = "did you mean " + strings.Join(near, ", ") + "?"
		}
		return nil, fmt.Errorf("%w as %q: %s", ErrNone, name, hint)
	}
	c := newCluster(d, name)
	c.flag = flag
	c.found = slices.DeleteFunc(all, func(m dockerd.Member) bool { return m.Cluster != name })
	return c, nil
}

// pick returns the containers with these names, or ErrNoPeer.
func (c *Cluster) pick(ctx context.Context, names []string) ([]dockerd.Member, error) {
	if err := c.wires.news(); err != nil {
		return nil, err
	}
	all, err := c.daemon.List(ctx, c.name)
	if err != nil {
		return nil, err
	}
	known := make([]string, len(all))
	for i, one := range all {
		known[i] = one.Name
	}
	var picked []dockerd.Member
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			continue
		}
		at := slices.Index(known, name)
		if at < 0 {
			return nil, testbed.NoPeer(name, known)
		}
		picked = append(picked, all[at])
	}
	return picked, nil
}

// DefaultName is what peerlab up calls a cluster that is given no name.
const DefaultName = "peerlab"

// Command returns a line of peerlab that acts on the cluster, for a message to
// name as the next step, such as "peerlab resume bob". It has --cluster where the
// line could mean another cluster without it.
func (c *Cluster) Command(words ...string) string { return CommandLine(c.flag, words...) }

// CommandLine is Command for the cluster that --cluster is to name, "" for none.
func CommandLine(cluster string, words ...string) string {
	line := "peerlab " + strings.Join(words, " ")
	if cluster == "" {
		return line
	}
	flag := " --cluster " + cluster
	if before, after, is := strings.Cut(line, " -- "); is { // exec alice -- LINE
		return before + flag + " -- " + after
	}
	return line + flag
}
