package docker

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/fabric"
)

// figures says how many peers the tests of speed take; they log and judge
// nothing, for a time says something about the host it was taken on.
func figures(t *testing.T) []string {
	t.Helper()
	needDocker(t)
	if os.Getenv("PEERLAB_BENCH") == "" {
		t.Skip("PEERLAB_BENCH=1 measures")
	}
	return testbed.Names(50)
}

// TestFigureStart compares fifty peers, up and converged, with fifty plain
// containers of their image, three times in turn.
func TestFigureStart(t *testing.T) {
	names := figures(t)
	var ratios []float64
	for range 3 {
		plain := startPlain(t, len(names))
		t.Logf("%d plain containers: %s", len(names), plain.Round(10*time.Millisecond))
		ours, started := startConverged(t, names)
		ratios = append(ratios, ours.Seconds()/plain.Seconds())
		t.Logf("%d plain containers start in %.2f s, as many peers are started after %.2f s and converged after %.2f s: × %.2f",
			len(names), plain.Seconds(), started.Seconds(), ours.Seconds(), ratios[len(ratios)-1])
	}
	slices.Sort(ratios)
	t.Logf("median × %.2f", ratios[1])
}

// startPlain creates and starts n containers as anybody would, several at the
// same time, on a network of their own.
func startPlain(t *testing.T, n int) time.Duration {
	t.Helper()
	ctx := t.Context()
	run := newRun()
	labels := map[string]string{runLabel: run, ownerLabel: string(thisProcess())}
	watchdog, err := startWatchdog(run)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := daemon.sweep(context.Background(), runLabel, func(l map[string]string) bool { return l[runLabel] == run }); err != nil {
			t.Error(err)
			watchdog.leaveTo()
		}
		watchdog.keep()
	}()
	began := time.Now()
	if _, err := daemon.api.NetworkCreate(ctx, "plain-"+run, client.NetworkCreateOptions{Driver: "bridge", Labels: labels}); err != nil {
		t.Fatal(err)
	}
	err = each(make([]struct{}, n), func(int, struct{}) error {
		made, err := daemon.api.ContainerCreate(ctx, client.ContainerCreateOptions{
			Config: &api.Config{Image: images.Peer, Cmd: []string{"run", "--bare"}, Labels: labels},
			HostConfig: &api.HostConfig{
				NetworkMode: api.NetworkMode("plain-" + run), Tmpfs: map[string]string{"/run/peer": "uid=65532,gid=65532,mode=0700"},
			},
			NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{"plain-" + run: {}}},
		})
		if err == nil {
			_, err = daemon.api.ContainerStart(ctx, made.ID, client.ContainerStartOptions{})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

// startConverged returns when each peer of a cluster sees all, and says when
// all of them were started.
func startConverged(t *testing.T, names []string) (converged, started time.Duration) {
	t.Helper()
	ctx := t.Context()
	began := time.Now()
	o := options(names...)
	// The image's own, as the plain ones have it: the local profile is meant for
	// few peers. RetransmitMult stays, for every rumour is to reach everybody.
	o.Env["PEER_PROFILE"] = "lan"
	c, err := daemon.Create(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	c.History()
	if err := c.Start(ctx, testbed.Bootstrap); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(ctx, names...); err != nil {
		t.Fatal(err)
	}
	started = time.Since(began)
	sees := make(map[testbed.Pair]bool)
	waiting, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	for n := 0; len(sees) < len(names)*len(names); {
		events, err := c.History().Read(waiting, n)
		if err != nil {
			t.Fatalf("started after %s; then only %d of %d pairs have seen each other: %v", started, len(sees), len(names)*len(names), err)
		}
		n += len(events)
		for _, e := range events {
			if e.Kind == event.MemberJoin {
				sees[testbed.Pair{From: e.Peer, To: e.Member}] = true
			}
		}
	}
	return time.Since(began), started
}

// TestFigureMatrix compares a whole matrix of fifty peers, from call to
// acknowledgement, with taking the same peers off their network.
func TestFigureMatrix(t *testing.T) {
	names := figures(t)
	c := create(t, options(names...))
	ctx := t.Context()
	for _, part := range [][]string{{testbed.Bootstrap}, names} {
		if err := c.Start(ctx, part...); err != nil {
			t.Fatal(err)
		}
	}
	cut := partition(t, names[:25], names[25:])
	for _, when := range []string{"the first time", "again"} {
		began := time.Now()
		if err := c.SetLinks(ctx, cut); err != nil {
			t.Error(err)
		}
		t.Logf("SetLinks of a partition with %d pairs, measured, %s: %s", len(cut), when, time.Since(began).Round(time.Millisecond))
		began = time.Now()
		if err := c.SetLinks(ctx, nil); err != nil {
			t.Error(err)
		}
		t.Logf("healed, measured: %s", time.Since(began).Round(time.Millisecond))
	}
	members, err := daemon.list(ctx, c.Name())
	if err != nil {
		t.Fatal(err)
	}
	full := make(fabric.Matrix)
	for _, a := range members[1:] {
		for _, b := range members {
			if a.Addr != b.Addr {
				full[fabric.Pair{From: a.Addr, To: b.Addr}] = fabric.Link{Drop: fabric.DropAll}
			}
		}
	}
	var took []time.Duration
	for range 20 {
		began := time.Now()
		if _, err := c.wires.client.Apply(ctx, full, fabric.DefaultLease); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	began := time.Now()
	for _, m := range members[1:] { // one after the other: see removeContainers
		if _, err := daemon.api.NetworkDisconnect(ctx, m.network, client.NetworkDisconnectOptions{Container: m.id, Force: true}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("a matrix of %d pairs is acknowledged after %s in the median of %d, %s to %s; docker network disconnect of %d peers takes %s",
		len(full), took[len(took)/2].Round(10*time.Microsecond), len(took), took[0].Round(10*time.Microsecond),
		took[len(took)-1].Round(10*time.Microsecond), len(names), time.Since(began).Round(time.Millisecond))
}
