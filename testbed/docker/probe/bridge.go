package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/fabric"
)

// TryBridge reports whether packets pass between two containers of one network, on
// a network made for that and removed again. The image, "" for the daemon's, is
// that of the fabric; the network has a device of that name, "" for any. On some hosts
// the firewall drops such packets.
func TryBridge(ctx context.Context, d *dockerd.Daemon, image, device string) (passes bool, err error) {
	name := "peerlab-try-" + strings.ToLower(dockerd.NewRunID()[:8])
	labels := map[string]string{dockerd.HelperLabel: dockerd.ProbeHelper, dockerd.OwnerLabel: string(dockerd.ThisProcess())}
	options := client.NetworkCreateOptions{Driver: "bridge", Labels: labels}
	if device != "" {
		options.Options = map[string]string{"com.docker.network.bridge.name": device}
	}
	asking, cancel, err := dockerd.CreateContext(ctx)
	if err != nil {
		return false, err
	}
	made, err := d.API.NetworkCreate(asking, name, options)
	cancel()
	if err != nil {
		return false, fmt.Errorf("try a network: %w", err)
	}
	var ids []string
	var probers []*fabric.Prober
	defer func() {
		ctx := context.WithoutCancel(ctx)
		for _, p := range probers {
			_ = p.Close()
		}
		_, removed := d.RemoveContainers(ctx, ids)
		_, gone := d.API.NetworkRemove(ctx, made.ID, client.NetworkRemoveOptions{})
		err = errors.Join(err, removed, gone)
	}()
	at := make(map[netip.Addr]*fabric.Prober)
	var addrs []netip.Addr
	for range 2 {
		id, err := CreateContainer(ctx, d, "", labels, probeConfig(FabricImage(d, image)),
			&api.HostConfig{NetworkMode: api.NetworkMode(name), LogConfig: api.LogConfig{Type: "none"}})
		if err != nil {
			return false, err
		}
		ids = append(ids, id)
		p, err := beginProbe(ctx, d, id)
		if err != nil {
			return false, fmt.Errorf("try a network: %w", err)
		}
		probers = append(probers, p)
		info, err := d.API.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err != nil {
			return false, fmt.Errorf("try a network: %w", err)
		}
		e := info.Container.NetworkSettings.Networks[name]
		if e == nil {
			return false, errors.New("try a network: a container is not on it")
		}
		at[e.IPAddress], addrs = p, append(addrs, e.IPAddress)
	}
	results, err := fabric.Matrix{}.Measure(ctx, at, []fabric.Pair{{From: addrs[0], To: addrs[1]}})
	if err != nil {
		return false, fmt.Errorf("try a network: %w", err)
	}
	return results[0].Arrived > 0 || results[0].TCP, nil
}
