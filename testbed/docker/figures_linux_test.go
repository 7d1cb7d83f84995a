package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/fabric"
	"peerlab/testbed/neighbors"
)

// figures says how many peers the tests of speed take; they log and judge
// nothing, for a time says something about the host it was taken on.
func figures(t *testing.T) []string {
	t.Helper()
	needDocker(t)
	if os.Getenv("PEERLAB_BENCH") == "" {
		t.Skip("PEERLAB_BENCH=1 measures")
	}
	const peers = 50
	needed := neighbors.Needed(peers)
	table, err := daemon.Neighbors(t.Context())
	switch {
	case err != nil || needed <= table.Room():
	case os.Getenv("PEERLAB_TUNE_HOST") == "":
		t.Logf("%d peers take %d entries in the host's table of neighbors, which holds %d: what is measured may suffer; TUNE_HOST=1 makes room, as root, and so does %s",
			peers, needed, table.Most, table.For(table.Entries, needed).Command())
	default:
		change, err := daemon.Tune(t.Context(), peers)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := daemon.Untune(change); err != nil {
				t.Error(err)
			}
		})
	}
	return testbed.Names(peers)
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
	run := dockerd.NewRunID()
	labels := map[string]string{dockerd.RunLabel: run, dockerd.OwnerLabel: string(dockerd.ThisProcess())}
	watchdog, err := dockerd.StartWatchdog(run, daemon.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := daemon.Sweep(context.Background(), dockerd.RunLabel, func(l map[string]string) bool { return l[dockerd.RunLabel] == run }); err != nil {
			t.Error(err)
			watchdog.RemoveAndWait()
		}
		watchdog.Dismiss()
	}()
	began := time.Now()
	if _, err := daemon.API.NetworkCreate(ctx, "plain-"+run, client.NetworkCreateOptions{Driver: "bridge", Labels: labels}); err != nil {
		t.Fatal(err)
	}
	err = dockerd.Each(make([]struct{}, n), func(int, struct{}) error {
		made, err := daemon.API.ContainerCreate(ctx, client.ContainerCreateOptions{
			Config: &api.Config{Image: images.Peer, Cmd: []string{"run", "--bare"}, Labels: labels},
			HostConfig: &api.HostConfig{
				NetworkMode: api.NetworkMode("plain-" + run), Tmpfs: map[string]string{"/run/peer": "uid=65532,gid=65532,mode=0700"},
			},
			NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{"plain-" + run: {}}},
		})
		if err == nil {
			_, err = daemon.API.ContainerStart(ctx, made.ID, client.ContainerStartOptions{})
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
	// The image's own settings, as the plain ones have them: the local profile is
	// meant for few peers. But every rumor is to reach everybody.
	o.Env = map[string]string{"PEER_SET": "RetransmitMult=8"}
	c, err := Create(ctx, daemon, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	c.History()
	if err := c.Start(ctx, append([]string{testbed.Bootstrap}, names...)...); err != nil {
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
		set := func(l testbed.Links) {
			if err := c.SetLinks(ctx, l); errors.Is(err, dockerd.ErrNeighbors) {
				t.Log(err)
			} else if err != nil {
				t.Error(err)
			}
		}
		set(cut)
		t.Logf("SetLinks of a partition with %d pairs, measured, %s: %s", len(cut), when, time.Since(began).Round(time.Millisecond))
		began = time.Now()
		set(nil)
		t.Logf("healed, measured: %s", time.Since(began).Round(time.Millisecond))
	}
	members, err := daemon.List(ctx, c.Name())
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
	// In turn, so that what else the host does meets all alike.
	var took, bare, least, text []time.Duration
	transaction := bareTransactions(t)
	for range 20 {
		took = append(took, timed(func() {
			if _, err := c.wires.client.Apply(ctx, full, fabric.DefaultLease); err != nil {
				t.Fatal(err)
			}
		}))
		bare = append(bare, timed(func() { transaction(full) }))
		least = append(least, timed(func() { transaction(nil) }))
		text = append(text, timed(func() {
			line, err := json.Marshal(full)
			if err != nil || json.Unmarshal(line, new(fabric.Matrix)) != nil {
				t.Fatal(err)
			}
		}))
	}
	t.Logf("%d pairs: %s; a bare transaction of nftables of the same size, in this process: %s; of no pair: %s; the pairs as JSON, there and back: %s",
		len(full), spread(took), spread(bare), spread(least), spread(text))
	began := time.Now()
	for _, m := range members[1:] { // one after the other: see RemoveContainers
		if _, err := daemon.API.NetworkDisconnect(ctx, m.Network, client.NetworkDisconnectOptions{Container: m.ID, Force: true}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("docker network disconnect of %d peers takes %s", len(names), time.Since(began).Round(time.Millisecond))
}

func timed(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

// spread tells the median, and the least and the most.
func spread(took []time.Duration) string {
	slices.Sort(took)
	round := func(i int) time.Duration { return took[i].Round(10 * time.Microsecond) }
	return fmt.Sprintf("%s (%s to %s)", round(len(took)/2), round(0), round(len(took)-1))
}

// bareTransactions returns a function that puts the rules of a matrix which cuts its
// pairs in force instead of those that it put there before, as the fabric does, and
// with nothing around it.
func bareTransactions(t *testing.T) func(fabric.Matrix) {
	t.Helper()
	needRoot(t)
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		t.Fatal(err)
	}
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyBridge, Name: "bare-" + dockerd.NewRunID()})
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.DelTable(table)
		if err := errors.Join(conn.Flush(), conn.CloseLasting()); err != nil {
			t.Error(err)
		}
	})
	n := 0
	var oldChain *nftables.Chain
	var oldSet *nftables.Set
	return func(m fabric.Matrix) {
		n++
		if oldChain != nil {
			conn.FlushTable(table)
			conn.DelSet(oldSet)
			conn.DelChain(oldChain)
		}
		set := &nftables.Set{
			Table: table, Name: fmt.Sprint("pairs", n), ID: uint32(n), Concatenation: true, Size: uint32(max(len(m), 1)),
			KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr),
		}
		chain := conn.AddChain(&nftables.Chain{
			Name: fmt.Sprint("forward", n), Table: table, Type: nftables.ChainTypeFilter,
			Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityRef(nftables.ChainPriority(1000 + n)),
		})
		if err := conn.AddSet(set, nil); err != nil {
			t.Fatal(err)
		}
		var elements []nftables.SetElement
		for pair := range m {
			elements = append(elements, nftables.SetElement{Key: append(pair.From.AsSlice(), pair.To.AsSlice()...)})
		}
		for part := range slices.Chunk(elements, 800) {
			if err := conn.SetAddElements(set, part); err != nil {
				t.Fatal(err)
			}
		}
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 8},
			&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID},
			&expr.Counter{},
		}})
		if err := conn.Flush(); err != nil {
			t.Fatal(err)
		}
		oldChain, oldSet = chain, set
	}
}
