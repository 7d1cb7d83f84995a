// Package e2e tests peers in containers: the images of this repository, the
// daemon's real networks, signals, pauses and cuts. Nothing of it stays
// behind, however a run ends: testbed/docker sees to that.
package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/testcontainers/testcontainers-go/log"

	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/docker/dockertest"
)

// clustersAtOnce bounds how many clusters run at the same time. They mostly
// wait, so two cores carry several; -parallel sets another number.
const clustersAtOnce = "6"

// lab is what all tests share, or why there is nothing to share.
type lab struct {
	daemon   *dockerd.Daemon
	images   dockertest.Images // of the present sources
	starting chan struct{}     // held while a cluster starts: the others would feel it
	missing  error             // why there is no Docker here
}

// shared is set by TestMain before any test runs.
var shared *lab

func TestMain(m *testing.M) {
	if status, asked := dockerd.RunWatchdogIfRequested(); asked {
		os.Exit(status)
	}
	flag.Parse()
	if !given("test.parallel") {
		if err := flag.Set("test.parallel", clustersAtOnce); err != nil {
			panic(err)
		}
	}
	log.SetDefault(log.NewNoopLogger()) // it reports what it connects to
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		status = 1
	}
	os.Exit(status)
}

func given(name string) (found bool) {
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

func run(m *testing.M) (status int, err error) {
	ctx := context.Background()
	d, err := open(ctx)
	if err != nil {
		if os.Getenv("CI") == "true" {
			return 1, err
		}
		shared = &lab{missing: err}
		return m.Run(), nil
	}
	defer d.Close()
	if _, err := d.Clean(ctx); err != nil {
		return 1, fmt.Errorf("remove what earlier runs left: %w", err)
	}
	guard, err := d.Guard()
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, guard.Close(ctx)) }()
	images, err := dockertest.Build(ctx, "..", guard.Labels())
	if err != nil {
		return 1, err
	}
	shared = &lab{daemon: d, images: images, starting: make(chan struct{}, 1)}
	return m.Run(), nil
}

// open connects to the daemon.
func open(ctx context.Context) (*dockerd.Daemon, error) {
	if testing.Short() {
		return nil, errors.New("these tests need Docker, and with -short they do not look for it")
	}
	return dockerd.Connect(ctx)
}
