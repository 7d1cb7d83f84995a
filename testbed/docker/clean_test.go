package docker

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/moby/moby/client"
)

// quota is what the daemon says of a container's processors.
func quota(t *testing.T, c *Cluster, name string) int64 {
	t.Helper()
	picked, err := c.pick(t.Context(), []string{name})
	if err != nil {
		t.Fatal(err)
	}
	info, err := daemon.api.ContainerInspect(t.Context(), picked[0].id, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return info.Container.HostConfig.CPUQuota
}

// TestClean leaves a network behind in the name of a dead process and of one
// that lives.
func TestClean(t *testing.T) {
	needDocker(t)
	host, _, _ := strings.Cut(string(thisProcess()), "/")
	for _, test := range []struct {
		owner owner
		want  int
	}{{owner(host + "/2147483646/1"), 0}, {thisProcess(), 1}} {
		label := "peerlab.test=" + newRun()
		key, value, _ := strings.Cut(label, "=")
		made, err := daemon.api.NetworkCreate(t.Context(), "peerlab-"+value, client.NetworkCreateOptions{
			Labels: map[string]string{ownerLabel: string(test.owner), key: value},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := daemon.Clean(t.Context()); err != nil {
			t.Error(err)
		}
		if got := count(t, label); got != test.want {
			t.Errorf("of %s, %d are there, want %d", test.owner, got, test.want)
		}
		_, _ = daemon.api.NetworkRemove(context.Background(), made.ID, client.NetworkRemoveOptions{})
	}
}

func TestCreateRefuses(t *testing.T) {
	needDocker(t)
	taken := create(t, options())
	info, err := daemon.api.NetworkInspect(t.Context(), taken.networkName(), client.NetworkInspectOptions{})
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
		{"no image", change(func(o *Options) { o.PeerImage = "peerlab-nowhere" }), ErrNoImage, "peerlab-nowhere"},
		{"the same cluster", change(func(o *Options) { o.Name = taken.Name() }), ErrExists, taken.Name()},
		{"no name", change(func(o *Options) { o.Name = "A b" }), nil, "no name"},
		{"two of a name", change(func(o *Options) { o.Peers = []string{"a", "a"} }), nil, "taken"},
		{"a peer called bootstrap", change(func(o *Options) { o.Peers = []string{"bootstrap"} }), nil, "taken"},
		{"too many", change(func(o *Options) { o.Peers = make([]string, 1001) }), nil, "at most 1000"},
	} {
		c, err := daemon.Create(t.Context(), test.o)
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

func TestConnect(t *testing.T) {
	for host, want := range map[string]error{
		"unix:///nowhere/docker.sock": ErrNoDocker,
		"tcp://127.0.0.1:1":           ErrNoDocker,
		"nonsense":                    ErrNoDocker,
	} {
		t.Setenv("DOCKER_HOST", host)
		if _, err := Connect(t.Context()); !errors.Is(err, want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %v", host, err, want)
		}
	}
}

func TestOwner(t *testing.T) {
	self := thisProcess()
	host, _, _ := strings.Cut(string(self), "/")
	for _, test := range []struct {
		o    owner
		gone bool
	}{
		{self, false},
		{owner(host + "/" + strings.Split(string(self), "/")[1] + "/1"), true}, // the id used again
		{owner(host + "/2147483646/1"), true},
		{"elsewhere/2147483646/1", false},
		{"something", false},
		{owner(host + "/x/1"), false},
		{owner(host + "/0/1"), false},
	} {
		if got := test.o.gone(); got != test.gone {
			t.Errorf("%s: gone is %t", test.o, got)
		}
	}
}
