package docker

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/docker/probe"
)

// TestNetworks has a peer on a second network, one that was started by hand on that
// of the cluster, one that is taken off it and back, and a firewall that lets
// nothing pass.
func TestNetworks(t *testing.T) {
	t.Parallel()
	c := up(t, options("alice", "bob"))
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	members, err := c.pick(ctx, []string{"alice"})
	must(err)
	alice := members[0]
	cut := links(t, "alice -> bob drop=udp")

	// Its name sorts before that of the cluster's.
	monitor, err := daemon.API.NetworkCreate(ctx, "a-monitor-"+strings.ToLower(dockerd.NewRunID()[:8]), client.NetworkCreateOptions{
		Labels: map[string]string{dockerd.OwnerLabel: string(dockerd.ThisProcess())},
	})
	must(err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(ctx)
		_, _ = daemon.API.NetworkDisconnect(ctx, monitor.ID, client.NetworkDisconnectOptions{Container: alice.ID, Force: true})
		if _, err := daemon.API.NetworkRemove(ctx, monitor.ID, client.NetworkRemoveOptions{}); err != nil {
			t.Error(err)
		}
	})
	_, err = daemon.API.NetworkConnect(ctx, monitor.ID, client.NetworkConnectOptions{Container: alice.ID})
	must(err)
	if got := peerOf(t, c, "alice"); got.Addr != alice.Addr || got.Reason != "" {
		t.Errorf("on a second network: %+v, want %s", got, alice.Addr)
	}
	must(c.SetLinks(ctx, cut))
	must(c.SetLinks(ctx, nil))

	// By hand, with an address that Docker chooses: none of a peer.
	zoe, err := daemon.API.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name: c.networkName() + "-zoe",
		Config: &api.Config{
			Image: images.Peer, Cmd: []string{"run", "--name", "zoe"}, Env: []string{"PEER_PROFILE=local"},
			Labels: map[string]string{"org.testcontainers": ""}, // as of an image that no test has built
		},
		HostConfig: &api.HostConfig{
			NetworkMode: api.NetworkMode(c.networkName()), Tmpfs: map[string]string{"/run/peer": "uid=65532,gid=65532,mode=0700"},
		},
	})
	must(err)
	defer func() { _ = daemon.RemoveContainer(context.WithoutCancel(ctx), zoe.ID) }()
	_, err = daemon.API.ContainerStart(ctx, zoe.ID, client.ContainerStartOptions{})
	must(err)
	names, err := daemon.Clusters(ctx)
	must(err)
	if slices.Contains(names, c.networkName()) {
		t.Errorf("a peer started by hand is a cluster of its own: %q", names)
	}
	name := strings.TrimPrefix(c.networkName()+"-zoe", "peerlab-")
	info, err := daemon.API.NetworkInspect(ctx, c.networkName(), client.NetworkInspectOptions{})
	must(err)
	others := info.Network.IPAM.Config[0].IPRange
	if got := peerOf(t, c, name); got.State != testbed.Running || !others.Contains(got.Addr) {
		t.Errorf("by hand: %+v, want an address of %s", got, others)
	}

	mark := c.History().Len()
	_, err = daemon.API.NetworkDisconnect(ctx, c.networkName(), client.NetworkDisconnectOptions{Container: alice.ID})
	must(err)
	await(t, c, mark, "alice is taken off her network", about(testbed.Lab, testbed.LabDisconnect, "alice"))
	if got := peerOf(t, c, "alice"); got.State != testbed.Running || got.Reason != testbed.NoNetwork {
		t.Errorf("off her network: %+v", got)
	}
	if err := c.SetLinks(ctx, cut); err == nil || !strings.Contains(err.Error(), "docker network connect "+c.networkName()) {
		t.Errorf("links of one who is off the network: %v", err)
	}
	later, err := Find(ctx, daemon, c.Name())
	must(err)
	defer later.Close(ctx)
	reported, err := later.Reported(ctx)
	must(err)
	if !slices.ContainsFunc(reported, about(testbed.Lab, testbed.LabDisconnect, "alice")) {
		t.Error("one that comes later is not told that alice is off her network")
	}
	_, err = daemon.API.NetworkConnect(ctx, c.networkName(), client.NetworkConnectOptions{Container: alice.ID, EndpointConfig: endpoint("alice", alice.Addr)})
	must(err)
	await(t, c, mark, "alice is back", about(testbed.Lab, testbed.LabConnect, "alice"))
	for _, e := range c.since(0) {
		if e.Kind == testbed.LabDisconnect && e.Member != "alice" || e.Kind == testbed.LabError {
			t.Errorf("%s %s %s", e.Kind, e.Member, e.Error)
		}
	}

	// The end of a container is none of its network.
	mark = c.History().Len()
	must(c.Kill(ctx, "bob"))
	must(c.Start(ctx, "bob"))
	await(t, c, mark, "bob is ready", about("bob", event.PeerReady, ""))
	if slices.ContainsFunc(c.since(mark), of(testbed.LabDisconnect)) {
		t.Error("the end of a peer is taken for the loss of its network")
	}

	firewall(t, "br-"+info.Network.ID[:12])
	if m, err := c.Measure(ctx, "alice", "bob"); err != nil || m.Arrived > 0 || m.TCP {
		t.Errorf("behind a firewall: %s, %v", m, err)
	}
}

// TestTryBridge has a firewall drop what two containers send each other.
func TestTryBridge(t *testing.T) {
	needDocker(t)
	t.Parallel()
	if passes, err := probe.TryBridge(t.Context(), daemon, images.Fabric, ""); err != nil || !passes {
		t.Errorf("on this host: %t, %v", passes, err)
	}
	device := "plab" + strings.ToLower(dockerd.NewRunID()[:8])
	firewall(t, device)
	if passes, err := probe.TryBridge(t.Context(), daemon, images.Fabric, device); err != nil || passes {
		t.Errorf("behind a firewall: %t, %v", passes, err)
	}
}

// firewall drops what passes a bridge, of which there need not be one yet, for as
// long as the test runs.
func firewall(t *testing.T, bridge string) {
	t.Helper()
	needRoot(t)
	setting, err := os.ReadFile("/proc/sys/net/bridge/bridge-nf-call-iptables")
	if err != nil || strings.TrimSpace(string(setting)) != "1" {
		t.Skip("bridges do not pass through this host's firewall")
	}
	rule := []string{"DOCKER-USER", "-i", bridge, "-o", bridge, "-j", "DROP"}
	iptables := func(action string) error {
		out, err := exec.Command("iptables", append([]string{"-w", action}, rule...)...).CombinedOutput()
		if err != nil {
			return errors.New(string(out))
		}
		return nil
	}
	if err := iptables("-I"); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := iptables("-D"); err != nil {
			t.Error(err)
		}
	})
}
