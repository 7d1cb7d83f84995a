// Package e2e tests peers in containers: the images of this repository, the
// daemon's real networks, signals, pauses and cuts. Nothing of it stays
// behind, however a run ends.
package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"

	"peerlab/testbed/docker"
)

// clustersAtOnce bounds how many clusters run at the same time. They mostly
// wait, so two cores carry several; -parallel sets another number.
const clustersAtOnce = "6"

// lab is what all tests share, or why there is nothing to share.
type lab struct {
	docker   client.APIClient
	owner    owner
	images   images
	starting chan struct{} // held while a cluster starts: the others would feel it
	missing  error         // why there is no Docker here
}

// shared is set by TestMain before any test runs.
var shared *lab

func TestMain(m *testing.M) {
	if status, asked := docker.WatchIfAsked(); asked {
		os.Exit(status)
	}
	if watched := os.Getenv(watchVariable); watched != "" {
		os.Exit(watch(owner(watched)))
	}
	flag.Parse()
	if !given("test.parallel") {
		if err := flag.Set("test.parallel", clustersAtOnce); err != nil {
			panic(err)
		}
	}
	log.SetDefault(log.NewNoopLogger()) // it reports each container as it comes and goes
	os.Exit(run(m))
}

func given(name string) (found bool) {
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

func run(m *testing.M) int {
	ctx := context.Background()
	l, err := open(ctx)
	if err != nil {
		if os.Getenv("CI") == "true" || !errors.Is(err, errNoDocker) {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			return 1
		}
		shared = &lab{missing: err}
		return m.Run()
	}
	shared = l
	watchdog, err := startWatchdog(l.owner)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer watchdog.finish()
	if l.images, err = imagesFor(ctx, l.owner); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return m.Run()
}

var errNoDocker = errors.New("no Docker daemon answers: these tests need one")

// open connects to the daemon and removes what dead runs left there.
func open(ctx context.Context) (*lab, error) {
	if testing.Short() {
		return nil, fmt.Errorf("%w, and with -short they do not look for it", errNoDocker)
	}
	docker, err := client.New(client.FromEnv)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoDocker, err)
	}
	patience, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := docker.Ping(patience, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoDocker, err)
	}
	disableMissingReaper(ctx, docker)
	if err := sweep(ctx, docker, owner.gone); err != nil {
		return nil, fmt.Errorf("remove what earlier runs left: %w", err)
	}
	self, err := thisProcess()
	if err != nil {
		return nil, err
	}
	return &lab{docker: docker, owner: self, starting: make(chan struct{}, 1)}, nil
}

// disableMissingReaper turns testcontainers' own cleaner off where its image
// is neither here nor to be had. Ours works either way.
func disableMissingReaper(ctx context.Context, docker client.APIClient) {
	const variable = "TESTCONTAINERS_RYUK_DISABLED"
	if _, set := os.LookupEnv(variable); set {
		return
	}
	image := testcontainers.ReaperDefaultImage //lint:ignore SA1019 nothing else tells its name
	if _, err := docker.ImageInspect(ctx, image); err == nil {
		return
	}
	patience, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	pull, err := docker.ImagePull(patience, image, client.ImagePullOptions{})
	if err == nil {
		err = pull.Wait(patience)
	}
	if err != nil {
		_ = os.Setenv(variable, "true")
	}
}
