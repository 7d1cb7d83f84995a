package docker

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go/log"
	"go.uber.org/goleak"

	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/docker/dockertest"
)

// imagesVariable names the images for a run of these tests inside a test.
const imagesVariable = "PEERLAB_TEST_IMAGES"

var (
	daemon  *dockerd.Daemon // nil where there is none
	missing error           // why
	guard   *dockerd.Guard  // of the images
	images  dockertest.Images
)

func TestMain(m *testing.M) {
	if status, asked := dockerd.RunWatchdogIfRequested(); asked {
		os.Exit(status)
	}
	flag.Parse()
	log.SetDefault(log.NewNoopLogger())
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx := context.Background()
	switch d, err := dockerd.Connect(ctx); {
	case testing.Short():
		missing = errors.New("-short does not look for Docker")
	case err == nil:
		daemon = d
		defer d.Close()
	case os.Getenv("CI") == "true":
		fmt.Fprintln(os.Stderr, err)
		return 1
	default:
		missing = err
	}
	if built := strings.Fields(os.Getenv(imagesVariable)); len(built) == 3 {
		images = dockertest.Images{Peer: built[0], Bootstrap: built[1], Fabric: built[2]}
	} else if daemon != nil {
		var err error
		if guard, err = daemon.Guard(); err == nil {
			defer guard.Close(ctx)
			images, err = dockertest.Build(ctx, "../..", guard.Labels())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if daemon != nil {
		daemon.FabricImage = images.Fabric
	}
	status := m.Run()
	if daemon != nil {
		_ = daemon.Close()
	}
	if err := goleak.Find(goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

func needDocker(t *testing.T) {
	t.Helper()
	if missing != nil {
		t.Skip(missing)
	}
}

// options are those of a quick cluster.
func options(peers ...string) Options {
	return Options{
		Peers: peers, PeerImage: images.Peer, BootstrapImage: images.Bootstrap, FabricImage: images.Fabric,
		Env: map[string]string{"PEER_PROFILE": "local", "PEER_REJOIN": "1s", "PEER_SET": "RetransmitMult=8"},
	}
}

func create(t *testing.T, o Options) *Cluster {
	t.Helper()
	needDocker(t)
	c, err := Create(t.Context(), daemon, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if n := count(t, dockerd.RunLabel+"="+c.made.run); n > 0 {
			t.Errorf("%d containers and networks are left", n)
		}
	})
	return c
}

// count counts the containers and networks with these labels.
func count(t *testing.T, labels ...string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	filters := make(client.Filters).Add("label", labels...)
	containers, err := daemon.API.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		t.Fatal(err)
	}
	networks, err := daemon.API.NetworkList(ctx, client.NetworkListOptions{Filters: filters})
	if err != nil {
		t.Fatal(err)
	}
	return len(containers.Items) + len(networks.Items)
}

// newName names a cluster of a test.
func newName() string { return "orphan-" + strings.ToLower(dockerd.NewRunID()[:8]) }
