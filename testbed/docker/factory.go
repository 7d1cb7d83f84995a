package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"github.com/moby/moby/api/pkg/stdcopy"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"peerlab/testbed"
	"peerlab/testbed/docker/adapter"
	"peerlab/testbed/docker/dockerd"
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
		features, err := Features(ctx, f.daemon, f.base.FabricImage)
		if err != nil {
			return err
		}
		f.features = features
	}
	return unable(m.CheckFeatures(f.features))
}

// Features says what the kernel that the daemon runs on can do to links, by
// trying it in a container of the image, "" for the daemon's. Nothing is left.
func Features(ctx context.Context, d *dockerd.Daemon, image string) ([]fabric.Feature, error) {
	labels := map[string]string{dockerd.HelperLabel: dockerd.FeaturesHelper, dockerd.OwnerLabel: string(dockerd.ThisProcess())}
	id, err := createHelper(ctx, d, "", labels,
		&api.Config{Image: fabricImage(d, image), Cmd: []string{"features"}, AttachStdout: true, AttachStderr: true},
		&api.HostConfig{NetworkMode: "none", CapAdd: []string{"NET_ADMIN"}, LogConfig: api.LogConfig{Type: "none"}},
	)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.RemoveContainer(context.WithoutCancel(ctx), id) }()
	attached, err := d.API.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return nil, fmt.Errorf("ask what the kernel can do: %w", err)
	}
	defer attached.Close()
	defer context.AfterFunc(ctx, attached.Close)()
	if _, err := d.API.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return nil, fmt.Errorf("ask what the kernel can do: %w", err)
	}
	out := bounded{limit: answerLimit}
	said := bounded{limit: errorLimit}
	_, err = stdcopy.StdCopy(&out, &said, attached.Reader)
	var features []fabric.Feature
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("ask what the kernel can do: %w", err)
	case json.Unmarshal(out.Bytes(), &features) != nil || len(features) == 0:
		return nil, unable(fmt.Errorf("ask what the kernel can do: %s", lastLine(said.String())))
	}
	return features, nil
}
