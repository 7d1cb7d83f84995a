package e2e

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/event"
	"peerlab/observe/theory"
	"peerlab/testbed"
	"peerlab/testbed/docker"
)

// five is the usual cluster.
var five = []string{"alice", "bob", "charly", "dave", "erin"}

// others returns five without some.
func others(without ...string) []string {
	return slices.DeleteFunc(slices.Clone(five), func(name string) bool { return slices.Contains(without, name) })
}

// impostor is a peer that says it is bob.
const impostor = "impostor"

// settings are those of every peer here. The local profile's RetransmitMult of
// 2 makes two packets of each rumor per member: in a cluster of five, every
// tenth rumor or so misses somebody, who then waits for the next push/pull.
// These tests are about what happens when gossip works.
var settings = map[string]string{
	"PEER_PROFILE":   "local",
	"PEER_SET":       "RetransmitMult=8",
	"PEER_LOG_LEVEL": "debug",
}

// predicted is what theory says about five with the local profile.
var predicted = theory.Of(memberlist.DefaultLocalConfig(), len(five))

const (
	// rejoinEvery is the interval the clusters here run with, and rejoinMost
	// what jitter makes of it at the most.
	rejoinEvery = 5 * time.Second
	rejoinMost  = rejoinEvery * 3 / 2
	// grace is what a busy host may add to what theory says.
	grace = 2 * time.Second
)

// cluster is a bootstrap service and peers, gone when its test ends. It is for
// one goroutine.
type cluster struct {
	*docker.Cluster
	*history
	peers []string
}

// newCluster returns a cluster of which the bootstrap service runs.
func newCluster(t *testing.T, rejoin time.Duration, peers ...string) *cluster {
	t.Helper()
	if shared.missing != nil {
		t.Skip(shared.missing)
	}
	env := maps.Clone(settings)
	env["PEER_REJOIN"] = rejoin.String()
	made, err := docker.Create(t.Context(), shared.daemon, docker.Options{
		Peers: peers, Env: env, Own: map[string]map[string]string{impostor: {"PEER_NAME": "bob"}},
		PeerImage: shared.images.Peer, BootstrapImage: shared.images.Bootstrap, FabricImage: shared.images.Fabric,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{Cluster: made, history: newHistory(made.History()), peers: peers}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		c.examine(ctx, t)
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	c.start(t, testbed.Bootstrap)
	return c
}

// newFive returns a cluster of five that see each other.
func newFive(t *testing.T, rejoin time.Duration) *cluster {
	t.Helper()
	c := newCluster(t, rejoin, five...)
	c.start(t, five...)
	c.awaitFive(t, 30*time.Second)
	return c
}

func (c *cluster) awaitFive(t *testing.T, within time.Duration) {
	t.Helper()
	c.await(t, within, "each of five sees all five", sees(five, "alive", five...))
}

// start starts peers, at the same time.
func (c *cluster) start(t *testing.T, names ...string) {
	t.Helper()
	shared.starting <- struct{}{}
	defer func() { <-shared.starting }()
	if err := c.Start(t.Context(), names...); err != nil {
		t.Fatal(err)
	}
}

// examine fails the test for what no peer may do, whatever the test. Of one that
// has failed it shows what one wants to read.
func (c *cluster) examine(ctx context.Context, t *testing.T) {
	for _, e := range c.since(0) {
		switch {
		case e.Kind == testbed.LabError:
			t.Errorf("%s: %s", e.Member, e.Error)
		case e.Kind == testbed.LabExit && e.Member != impostor:
			t.Errorf("%s ended by itself with exit code %s", e.Member, e.Text)
		}
	}
	said := make(map[string]string)
	for _, name := range append([]string{testbed.Bootstrap}, c.peers...) {
		var out, errs bytes.Buffer
		if err := c.Logs(ctx, name, false, &out, &errs); err != nil {
			t.Error(err)
		}
		for line := range bytes.Lines(out.Bytes()) {
			if e, err := event.Decode(line); err != nil || e.Peer != name && name != impostor {
				t.Errorf("%s wrote to standard output: %q", name, line)
			}
		}
		for line := range strings.Lines(errs.String()) {
			if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
				t.Errorf("%s: %s", name, line)
			}
		}
		said[name] = errs.String()
	}
	if !t.Failed() {
		return
	}
	t.Log(c.history.String())
	for _, name := range slices.Sorted(maps.Keys(said)) {
		lines := slices.Collect(strings.Lines(said[name]))
		t.Logf("%s said last:\n%s", name, strings.Join(lines[max(0, len(lines)-40):], ""))
	}
}

// ask runs one line in a peer, which must succeed.
func (c *cluster) ask(t *testing.T, name string, words ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out bytes.Buffer
	if err := c.Exec(ctx, name, strings.Join(words, " "), testbed.Input{Words: words}, &out); err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(words, " "), err)
	}
	return out.String()
}

// peer is what the engine knows of a peer now.
func (c *cluster) peer(t *testing.T, name string) testbed.Peer {
	t.Helper()
	all, err := c.Peers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(p testbed.Peer) bool { return p.Name == name })
	if i < 0 {
		t.Fatalf("there is no %s in %v", name, all)
	}
	return all[i]
}

// network and container are what Docker calls the cluster's network and the
// container of a peer.
func (c *cluster) network() string              { return "peerlab-" + c.Name() }
func (c *cluster) container(name string) string { return c.network() + "-" + name }

// health is what a peer's image is asked by Docker's health check: an error
// unless the peer has joined.
func (c *cluster) health(t *testing.T, name string) error {
	t.Helper()
	return byHand(t, "exec", c.container(name), "/peer", "health")
}

// byHand has Docker do something in the way a person does it.
func byHand(t *testing.T, args ...string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if said, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(said))
	}
	return nil
}
