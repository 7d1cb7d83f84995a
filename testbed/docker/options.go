package docker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"

	"peerlab/testbed"
	"peerlab/testbed/docker/adapter"
	"peerlab/testbed/docker/dockerd"
)

// Errors of Create and Find.
var (
	ErrSubnet  = errors.New("the range of addresses is in use")
	ErrExists  = errors.New("the cluster exists already")
	ErrNone    = errors.New("no such cluster")
	ErrSeveral = errors.New("there are several clusters")
)

// Options say what Create makes.
type Options struct {
	// Name is the cluster's, by which Find finds it; none is a new one.
	Name string
	// Peers are their names.
	Peers []string
	// Env is the environment of every peer, such as PEER_PROFILE.
	Env map[string]string
	// Own are variables of single peers, on top.
	Own map[string]map[string]string
	// Settings of every peer, as its adapter knows them.
	Settings map[string]string
	// Adapter is for peers of another kind than ours: nil is adapter.Own.
	Adapter adapter.Adapter
	// Subnet is the range of addresses, none for a free one. The first nine
	// are left out.
	Subnet netip.Prefix
	// PeerImage and BootstrapImage default to peerlab-peer, or what the adapter
	// is called, and peerlab-bootstrap.
	PeerImage, BootstrapImage string
	// FabricImage is needed for links only; it defaults to the daemon's.
	FabricImage string
	// Memory, in bytes and swap included, and PIDs, processes and threads, are
	// the most that the container of a peer may take; negative is no limit, and 0
	// what its adapter says, else DefaultMemory and DefaultPIDs. A peer that
	// takes more memory is killed by the kernel: a lab.exit with the reason
	// testbed.OutOfMemory.
	Memory, PIDs int64
	// Tuning was changed on the host for this cluster and is taken back when its
	// network is removed, by whomever.
	Tuning dockerd.Tuning
	// HealthChecks has Docker run the health check of the image in each container,
	// as it does in one started by hand. Each check starts a process, which what
	// is measured here notices.
	HealthChecks bool
	// Keep leaves the cluster to itself at Close. Without it, and until then,
	// the cluster is removed when this process ends, however it does.
	Keep bool

	beside bool // there are other clusters; complete sets it
}

// complete fills in what is missing and refuses what cannot work.
func (o *Options) complete(ctx context.Context, d *dockerd.Daemon) error {
	if o.Name == "" {
		o.Name = "lab-" + strings.ToLower(dockerd.NewRunID()[:8])
	}
	if o.Adapter == nil {
		o.Adapter = adapter.Own{}
	}
	if o.PeerImage == "" {
		o.PeerImage = "peerlab-" + o.Adapter.Name()
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
	if err := o.CheckLimits(); err != nil {
		return err
	}
	names, err := d.Clusters(ctx)
	if err != nil {
		return err
	}
	if slices.Contains(names, o.Name) {
		return fmt.Errorf("%w: %s: remove it first (%s), or choose another name with --cluster", ErrExists, o.Name, CommandLine(o.Name, "down"))
	}
	o.beside = len(names) > 0
	images := []string{o.PeerImage}
	if o.Adapter.Bootstrap() {
		images = append(images, o.BootstrapImage)
	}
	for _, image := range images {
		if _, err := d.API.ImageInspect(ctx, image); errdefs.IsNotFound(err) {
			return fmt.Errorf("%w: %s: make image builds ours, make image-serf one of serf", dockerd.ErrNoImage, image)
		} else if err != nil {
			return fmt.Errorf("look for the image %s: %w", image, err)
		}
	}
	return nil
}

// What a peer's container may take of the host where neither Options nor its
// adapter say otherwise: several times what a peer of ours takes in a large
// cluster, and little enough that one which means harm stops nothing else.
const (
	DefaultMemory = 256 << 20 // bytes, swap included
	DefaultPIDs   = 128       // processes and threads
)

// The least that Options may ask for: Docker starts no container with less
// memory, and no Go program does with fewer threads.
const (
	minMemory = 6 << 20
	minPIDs   = 16
)

// limits are what a container may take: 0 is no limit.
type limits struct{ memory, pids int64 }

// Of the other containers. The agent holds a rule for each pair of peers, a
// million with 1,000 of them, which takes 2 GB.
var (
	bootstrapLimits = limits{DefaultMemory, DefaultPIDs}
	agentLimits     = limits{4 << 30, 128}
)

// peerLimits are those of a peer's container: of Options, else its adapter's,
// else the defaults.
func (m *making) peerLimits(start adapter.Container) limits {
	first := func(values ...int64) int64 {
		for _, v := range values {
			if v != 0 {
				return max(v, 0)
			}
		}
		return 0
	}
	return limits{first(m.Memory, start.Memory, DefaultMemory), first(m.PIDs, start.PIDs, DefaultPIDs)}
}

// CheckLimits returns an error for a Memory or PIDs with which no peer starts.
func (o *Options) CheckLimits() error {
	if o.Memory > 0 && o.Memory < minMemory {
		return fmt.Errorf("%d bytes of memory are too few for a container: want at least %d (6 MiB)", o.Memory, minMemory)
	}
	if o.PIDs > 0 && o.PIDs < minPIDs {
		return fmt.Errorf("%d processes and threads are too few for a peer: want at least %d", o.PIDs, minPIDs)
	}
	return nil
}

// resources are the limits in Docker's words. There is no swap beyond them: it
// would only make slow what is to end.
func (l limits) resources() api.Resources {
	r := api.Resources{Memory: l.memory, MemorySwap: l.memory}
	if l.pids > 0 {
		r.PidsLimit = &l.pids
	}
	return r
}

// environment tells a Go program of its limit, near which it then collects
// garbage instead of being killed.
func (l limits) environment() map[string]string {
	if l.memory == 0 {
		return nil
	}
	return map[string]string{"GOMEMLIMIT": strconv.FormatInt(l.memory/10*9, 10)}
}

// Sizes of the two files of a container's log, after which Docker drops the older
// one. Events are read from the logs of peers and agents: these are large.
const (
	eventLog = "512m"
	plainLog = "50m"
)

// logTo is the configuration of a log. The daemon adds its own options where
// there are none; those that could lose or delay events are all given here.
func logTo(size string) api.LogConfig {
	return api.LogConfig{Type: "json-file", Config: map[string]string{
		"max-size": size, "max-file": "2", "compress": "false", "mode": "blocking",
	}}
}
