package docker

import (
	"context"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"peerlab/testbed"
	"peerlab/testbed/docker/adapter"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/docker/probe"
	"peerlab/testbed/fabric"
	"peerlab/testbed/settings"
)

// Factory makes clusters in containers, each for one engine alone.
type Factory struct {
	daemon *dockerd.Daemon
	base   Options

	mu       sync.Mutex
	features []fabric.Feature // nil until asked for
}

var _ testbed.Factory = (*Factory)(nil)

// NewFactory returns a Factory that uses d. What a Spec leaves open is as base
// says, but for the cluster's name, which is a new one each time.
func NewFactory(d *dockerd.Daemon, base Options) *Factory { return &Factory{daemon: d, base: base} }

// Name implements testbed.Factory.
func (f *Factory) Name() string { return "docker" }

// Owned implements testbed.Factory.
func (f *Factory) Owned() map[string]string {
	owned := settings.Owned()
	owned[settings.Phase] = "a container begins when this host gets to it; in virtual time (--engine sim) it can be chosen"
	return owned
}

// Used implements testbed.Factory. It has what a container may take, too.
func (f *Factory) Used(s testbed.Spec) map[string]string {
	used := settings.Used(f.Owned(), nil, s.Settings)
	if used == nil {
		return nil
	}
	limit := (&making{Options: f.base}).peerLimits(adapter.Container{})
	used["memory"], used["pids"] = strconv.FormatInt(limit.memory, 10), strconv.FormatInt(limit.pids, 10)
	used["health-checks"] = strconv.FormatBool(f.base.HealthChecks)
	return used
}

// Create implements testbed.Factory. The result is a *Cluster. The program must
// begin with RunWatchdogIfRequested.
func (f *Factory) Create(ctx context.Context, s testbed.Spec) (testbed.Engine, error) {
	o := f.base
	o.Name, o.Keep = "", false
	o.Peers = s.Peers
	o.Own = make(map[string]map[string]string)
	if err := settings.Check(f.Owned(), s); err != nil {
		return nil, err
	}
	for _, name := range s.Peers {
		own := maps.Clone(f.base.Own[name])
		if own == nil {
			own = make(map[string]string)
		}
		of := s.Of(name)
		for setting, value := range of {
			own[variable(setting)] = value
		}
		if secrets, given := s.Files[of["chat-secret-file"]]; given {
			delete(own, variable("chat-secret-file"))
			own[variable("chat-secret")] = secrets
		}
		o.Own[name] = own
	}
	c, err := Create(ctx, f.daemon, o)
	if err != nil {
		return nil, err // not a *Cluster that is nil
	}
	return c, nil
}

// variable names the environment variable that sets a flag of peer run.
func variable(setting string) string {
	return "PEER_" + strings.ToUpper(strings.ReplaceAll(setting, "-", "_"))
}

// Check implements testbed.Factory. It asks the running kernel, once, from a
// container of the fabric's image.
func (f *Factory) Check(ctx context.Context, links testbed.Links) error {
	m := make(fabric.Matrix)
	host := netip.IPv4Unspecified() // whose they are does not matter
	for _, link := range links {
		if link != (testbed.Link{}) {
			host = host.Next()
			m[fabric.Pair{From: host}] = link
		}
	}
	if len(m) == 0 {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.features == nil {
		features, err := probe.Features(ctx, f.daemon, f.base.FabricImage)
		if err != nil {
			return err
		}
		f.features = features
	}
	return probe.Unable(m.CheckFeatures(f.features))
}
