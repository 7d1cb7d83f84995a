package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"peerlab/testbed/docker/dockerd"
)

// quota is what the daemon says of a container's processors.
func quota(t *testing.T, c *Cluster, name string) int64 {
	t.Helper()
	picked, err := c.pick(t.Context(), []string{name})
	if err != nil {
		t.Fatal(err)
	}
	info, err := daemon.API.ContainerInspect(t.Context(), picked[0].ID, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return info.Container.HostConfig.CPUQuota
}

// TestClean leaves a network and an image behind in the name of a dead process
// and of one that lives, and a container that does not run and is nobody's with
// an image of the dead.
func TestClean(t *testing.T) {
	needDocker(t)
	fields := strings.Split(string(dockerd.ThisProcess()), "/")
	fields[1] = "2147483646" // no process has that id
	dead := dockerd.Owner(strings.Join(fields, "/"))
	for _, test := range []struct {
		owner            dockerd.Owner
		used             bool
		networks, images int
	}{{dead, false, 0, 0}, {dead, true, 0, 1}, {dockerd.ThisProcess(), false, 1, 1}} {
		label := "peerlab.test=" + dockerd.NewRunID()
		key, value, _ := strings.Cut(label, "=")
		made, err := daemon.API.NetworkCreate(t.Context(), "peerlab-"+value, client.NetworkCreateOptions{
			Labels: map[string]string{dockerd.OwnerLabel: string(test.owner), key: value},
		})
		if err != nil {
			t.Fatal(err)
		}
		image := makeImage(t, map[string]string{dockerd.ImageOwnerLabel: string(test.owner), key: value})
		user := client.ContainerCreateResult{}
		if test.used {
			user, err = daemon.API.ContainerCreate(t.Context(), client.ContainerCreateOptions{Config: &api.Config{Image: image, Cmd: []string{"none"}}})
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, err := daemon.Clean(t.Context()); err != nil {
			t.Error(err)
		}
		if test.used {
			if err := daemon.RemoveContainer(context.Background(), user.ID); err != nil {
				t.Error(err)
			}
		}
		if got := count(t, label); got != test.networks {
			t.Errorf("of %s, %d are there, want %d", test.owner, got, test.networks)
		}
		if got := countImages(t, label); got != test.images {
			t.Errorf("of %s, %d images are there, want %d (used: %t)", test.owner, got, test.images, test.used)
		}
		_, _ = daemon.API.NetworkRemove(context.Background(), made.ID, client.NetworkRemoveOptions{})
		_, _ = daemon.API.ImageRemove(context.Background(), image, client.ImageRemoveOptions{Force: true, PruneChildren: true})
	}
}

// makeImage makes an image with nothing in it but labels, and returns its id.
func makeImage(t *testing.T, labels map[string]string) string {
	t.Helper()
	var changes []string
	for key, value := range labels {
		changes = append(changes, "LABEL "+key+"="+value)
	}
	var empty bytes.Buffer
	if err := tar.NewWriter(&empty).Close(); err != nil {
		t.Fatal(err)
	}
	made, err := daemon.API.ImageImport(t.Context(), client.ImageImportSource{Source: &empty, SourceName: "-"}, "", client.ImageImportOptions{Changes: changes})
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	said, err := io.ReadAll(made)
	id := regexp.MustCompile("sha256:[0-9a-f]{64}").Find(said)
	if err != nil || id == nil {
		t.Fatalf("make an image: %v, %s", err, said)
	}
	return string(id)
}

// countImages counts the images with a label.
func countImages(t *testing.T, label string) int {
	t.Helper()
	all, err := daemon.API.ImageList(t.Context(), client.ImageListOptions{Filters: make(client.Filters).Add("label", label)})
	if err != nil {
		t.Fatal(err)
	}
	return len(all.Items)
}

// TestGuard makes images that go with their guard.
func TestGuard(t *testing.T) {
	needDocker(t)
	g, err := daemon.Guard()
	if err != nil {
		t.Fatal(err)
	}
	makeImage(t, g.Labels())
	other := map[string]string{dockerd.ImageRunLabel: dockerd.NewRunID()}
	theirs := makeImage(t, other)
	if err := g.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := countImages(t, dockerd.ImageRunLabel+"="+g.Labels()[dockerd.ImageRunLabel]); n > 0 {
		t.Errorf("%d images are left", n)
	}
	if n := countImages(t, dockerd.ImageRunLabel+"="+other[dockerd.ImageRunLabel]); n != 1 {
		t.Errorf("%d are left of another's", n)
	}
	if _, err := daemon.API.ImageRemove(t.Context(), theirs, client.ImageRemoveOptions{Force: true, PruneChildren: true}); err != nil {
		t.Error(err)
	}
}

func TestCreateRefuses(t *testing.T) {
	needDocker(t)
	t.Parallel()
	taken := create(t, options())
	info, err := daemon.API.NetworkInspect(t.Context(), taken.networkName(), client.NetworkInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(o *Options)) Options {
		o := options("alice")
		f(&o)
		return o
	}
	for _, test := range []struct {
		name string
		o    Options
		is   error
		says string
	}{
		{"a subnet in use", change(func(o *Options) { o.Subnet = info.Network.IPAM.Config[0].Subnet }), ErrSubnet, "--subnet"},
		{"a small subnet", change(func(o *Options) { o.Subnet = netip.MustParsePrefix("10.9.8.0/29") }), nil, "room for 13"},
		{"IPv6", change(func(o *Options) { o.Subnet = netip.MustParsePrefix("fd00::/64") }), nil, "IPv4"},
		{"no image", change(func(o *Options) { o.PeerImage = "peerlab-nowhere" }), dockerd.ErrNoImage, "peerlab-nowhere"},
		{"the same cluster", change(func(o *Options) { o.Name = taken.Name() }), ErrExists, taken.Name()},
		{"no name", change(func(o *Options) { o.Name = "A b" }), nil, "no name"},
		{"two of a name", change(func(o *Options) { o.Peers = []string{"a", "a"} }), nil, "taken"},
		{"a peer called bootstrap", change(func(o *Options) { o.Peers = []string{"bootstrap"} }), nil, "taken"},
		{"too many", change(func(o *Options) { o.Peers = make([]string, 1001) }), nil, "at most 1000"},
	} {
		c, err := Create(t.Context(), daemon, test.o)
		if err == nil {
			t.Errorf("%s is accepted", test.name)
			_ = c.Close(context.Background())
			continue
		}
		if test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", test.name, err, test.says)
		}
	}
}

// TestRemoveLeavesTheNetworksOfOthers removes the peers of a Compose project that
// has more than peers.
func TestRemoveLeavesTheNetworksOfOthers(t *testing.T) {
	needDocker(t)
	t.Parallel()
	ctx := t.Context()
	project := newName()
	labels := func(service string) map[string]string {
		return map[string]string{"com.docker.compose.project": project, "com.docker.compose.service": service, "org.testcontainers": ""}
	}
	network := func(name string) string {
		t.Helper()
		made, err := daemon.API.NetworkCreate(ctx, project+"_"+name, client.NetworkCreateOptions{Labels: labels("")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = daemon.API.NetworkRemove(context.Background(), made.ID, client.NetworkRemoveOptions{}) })
		return made.ID
	}
	container := func(service, image, network string) string {
		t.Helper()
		made, err := daemon.API.ContainerCreate(ctx, client.ContainerCreateOptions{
			Config:     &api.Config{Image: image, Labels: labels(service), Cmd: []string{"run"}},
			HostConfig: &api.HostConfig{NetworkMode: api.NetworkMode(network)},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = daemon.RemoveContainer(context.Background(), made.ID) })
		return made.ID
	}
	peers, database, shared := network("peers"), network("database"), network("shared")
	container("alice", images.Peer, peers)
	container("bob", images.Peer, shared)
	other := makeImage(t, guard.Labels())
	container("db", other, database)
	container("web", other, shared)

	c, err := Find(ctx, daemon, project)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(ctx); err != nil {
		t.Error(err)
	}
	for id, stays := range map[string]bool{peers: false, database: true, shared: true} {
		_, err := daemon.API.NetworkInspect(ctx, id, client.NetworkInspectOptions{})
		if stays != (err == nil) {
			t.Errorf("the network %.12s should stay: %t; %v", id, stays, err)
		}
	}
}
