package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/moby/moby/api/pkg/stdcopy"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"peerlab/peer"
	"peerlab/testbed"
	"peerlab/testbed/fabric"
)

// Factory makes clusters in containers, each for one engine alone.
type Factory struct {
	daemon *Daemon
	base   Options

	mu       sync.Mutex
	features []fabric.Feature // nil until asked for
}

var _ testbed.Factory = (*Factory)(nil)

// NewFactory returns a Factory that uses d. What a Spec leaves open is as base
// says, but for the cluster's name, which is a new one each time.
func NewFactory(d *Daemon, base Options) *Factory { return &Factory{daemon: d, base: base} }

// Name implements testbed.Factory.
func (f *Factory) Name() string { return "docker" }

// Create implements testbed.Factory. The result is a *Cluster. A setting that
// no flag of peer run has, or that a peer would refuse, is an error before
// there is a container in which it would fail. The program must begin with
// WatchIfAsked.
func (f *Factory) Create(ctx context.Context, s testbed.Spec) (testbed.Engine, error) {
	o := f.base
	o.Name, o.Keep = "", false
	o.Peers = s.Peers
	o.Own = make(map[string]map[string]string)
	if _, given := s.Settings["name"]; given {
		return nil, errors.New("setting name: the cluster gives the names")
	}
	for name := range s.Own {
		if !slices.Contains(s.Peers, name) {
			return nil, fmt.Errorf("settings: %w", testbed.NoPeer(name, s.Peers))
		}
	}
	for _, name := range s.Peers {
		settings := s.Of(name)
		if err := checkSettings(name, settings); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		own := maps.Clone(f.base.Own[name])
		if own == nil {
			own = make(map[string]string)
		}
		for setting, value := range settings {
			own[variable(setting)] = value
		}
		o.Own[name] = own
	}
	c, err := f.daemon.Create(ctx, o)
	if err != nil {
		return nil, err // not a *Cluster that is nil
	}
	return c, nil
}

// checkSettings has a peer that is never started look at them.
func checkSettings(name string, settings map[string]string) error {
	config := peer.Config{Name: name}
	if err := config.Configure(settings); err != nil {
		return err
	}
	config.State = "" // a directory of the container's
	_, err := peer.New(config)
	return err
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
		features, err := f.daemon.Features(ctx, f.base.FabricImage)
		if err != nil {
			return err
		}
		f.features = features
	}
	return unable(m.CheckFeatures(f.features))
}

// Features says what the kernel that the daemon runs on can do to links, by
// trying it in a container of the image, "" for the daemon's. Nothing is left.
func (d *Daemon) Features(ctx context.Context, image string) ([]fabric.Feature, error) {
	labels := map[string]string{helperLabel: featuresHelper, ownerLabel: string(thisProcess())}
	id, err := d.createHelper(ctx, "", labels,
		&api.Config{Image: d.fabricImage(image), Cmd: []string{"features"}, AttachStdout: true, AttachStderr: true},
		&api.HostConfig{NetworkMode: "none", CapAdd: []string{"NET_ADMIN"}, LogConfig: api.LogConfig{Type: "none"}},
	)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.removeContainer(context.WithoutCancel(ctx), id) }()
	attached, err := d.api.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return nil, fmt.Errorf("ask what the kernel can do: %w", err)
	}
	defer attached.Close()
	defer context.AfterFunc(ctx, attached.Close)()
	if _, err := d.api.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
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
