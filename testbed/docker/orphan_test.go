//go:build linux

package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/fabric"
)

// orphanVariable says what TestOrphan is to do, and to which cluster.
const orphanVariable = "PEERLAB_TEST_ORPHAN"

// TestOrphan is no test of its own: others run it in a process they kill.
func TestOrphan(t *testing.T) {
	part, name, _ := strings.Cut(os.Getenv(orphanVariable), " ")
	if part == "" {
		t.Skip("run by tests that kill it")
	}
	say := func(format string, args ...any) {
		if _, err := fmt.Printf("\n"+format+"\n", args...); err != nil {
			t.Fatal(err)
		}
	}
	say("begins")
	ctx := t.Context()
	cut := partition(t, []string{"alice"}, []string{"bob"})
	switch part {
	case "makes": // a cluster and cuts it
		o := options("alice", "bob")
		o.Name = name
		c, err := Create(ctx, daemon, o)
		if err == nil {
			err = c.Start(ctx, testbed.Bootstrap, "alice", "bob")
		}
		if err == nil {
			err = c.Pause(ctx, "bob") // the hardest to remove
		}
		if err == nil {
			err = c.SetLinks(ctx, cut)
		}
		if err != nil {
			t.Fatal(err)
		}
		say("cut %s %d", c.wires.lab, c.made.watchdog.PID())
	case "guards": // an image
		g, err := daemon.Guard()
		if err != nil {
			t.Fatal(err)
		}
		makeImage(t, g.Labels())
		say("guards %s", g.Labels()[dockerd.ImageRunLabel])
	case "cuts": // one that stands, again and again
		c, err := Find(ctx, daemon, name)
		for err == nil {
			if err = c.SetLinks(ctx, cut); err == nil {
				err = c.SetLinks(ctx, nil)
			}
		}
		t.Fatal(err)
	}
	<-ctx.Done()
}

// orphan starts TestOrphan and returns when it has begun.
func orphan(t *testing.T, task string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestOrphan$", "-test.timeout=3m")
	cmd.Env = append(os.Environ(), orphanVariable+"="+task,
		imagesVariable+"="+strings.Join([]string{images.Peer, images.Bootstrap, images.Fabric}, " "))
	output, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(output)
	for lines.Scan() && lines.Text() != "begins" {
	}
	return cmd, lines
}

// kill kills a process and waits until it is dead.
func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // it was killed
}

// gone waits until nothing with a label is left, nor the table of a lab: in
// three looks, for a request may still be under way.
func gone(t *testing.T, label, lab string, more ...string) {
	t.Helper()
	began := time.Now()
	for quiet := 0; quiet < 3; <-time.After(300 * time.Millisecond) {
		left := count(t, append(more, label)...)
		table := lab != "" && slices.Contains(tables(t), "peerlab-"+lab)
		if left == 0 && !table {
			quiet++
		} else {
			quiet = 0
		}
		if time.Since(began) > 40*time.Second {
			t.Fatalf("of %s, %d containers and networks are left; its rules: %t", label, left, table)
		}
	}
}

// labOf returns what names the network of a cluster for the fabric, if it has
// one.
func labOf(t *testing.T, cluster string) string {
	t.Helper()
	info, err := daemon.API.NetworkInspect(t.Context(), "peerlab-"+cluster, client.NetworkInspectOptions{})
	if errdefs.IsNotFound(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return info.Network.ID[:12]
}

// TestNothingIsLeft kills a process that makes a cluster and cuts it, at
// ten random instants: half of them when the links are cut.
func TestNothingIsLeft(t *testing.T) {
	needDocker(t)
	t.Parallel()
	needRoot(t)
	for i := range 10 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			name := newName()
			cmd, lines := orphan(t, "makes "+name)
			after := time.Duration(rand.Int64N(int64(3 * time.Second)))
			if i%2 == 0 {
				isCut(t, lines)
				after /= 10
			}
			instant := time.NewTimer(after)
			<-instant.C
			lab := labOf(t, name)
			had := count(t, dockerd.ClusterLabel+"="+name)
			rules := slices.Contains(tables(t), "peerlab-"+lab)
			kill(t, cmd)
			killed := time.Now()
			gone(t, dockerd.ClusterLabel+"="+name, lab)
			t.Logf("killed with %d things, rules: %t; gone after %s", had, rules, time.Since(killed).Round(100*time.Millisecond))
			if i%2 == 0 && !rules {
				t.Error("there were no rules, though it said so")
			}
		})
	}
}

// isCut waits until an orphan has cut its cluster, and returns what names the
// network and the process of its watchdog.
func isCut(t *testing.T, lines *bufio.Scanner) (lab string, watchdog int) {
	t.Helper()
	for lines.Scan() {
		if n, _ := fmt.Sscanf(lines.Text(), "cut %s %d", &lab, &watchdog); n == 2 {
			return lab, watchdog
		}
	}
	t.Fatal("it did not cut its cluster")
	return "", 0
}

// TestNothingIsLeftBeside kills a process that cuts a cluster which stands:
// the cluster stays, and the rules may, but no probe.
func TestNothingIsLeftBeside(t *testing.T) {
	t.Parallel()
	c := up(t, options("alice", "bob"))
	for range 3 {
		cmd, _ := orphan(t, "cuts "+c.Name())
		instant := time.NewTimer(time.Duration(rand.Int64N(int64(3 * time.Second))))
		<-instant.C
		kill(t, cmd)
		gone(t, dockerd.ClusterLabel+"="+c.Name(), "", dockerd.HelperLabel+"="+dockerd.ProbeHelper)
	}
	ctx := t.Context()
	if err := c.SetLinks(ctx, nil); err != nil {
		t.Error(err)
	}
	if peers, err := c.Peers(ctx); err != nil || len(peers) != 3 {
		t.Errorf("%v, %v", peers, err)
	}
}

// TestNoImageIsLeft kills a process that has images built.
func TestNoImageIsLeft(t *testing.T) {
	needDocker(t)
	cmd, lines := orphan(t, "guards images")
	run := ""
	for run == "" && lines.Scan() {
		_, _ = fmt.Sscanf(lines.Text(), "guards %s", &run)
	}
	label := dockerd.ImageRunLabel + "=" + run
	had := countImages(t, label)
	kill(t, cmd)
	if had != 1 {
		t.Fatalf("it had %d images, want 1", had)
	}
	for killed := time.Now(); countImages(t, label) > 0; <-time.After(100 * time.Millisecond) {
		if time.Since(killed) > 40*time.Second {
			t.Fatal("its image is left")
		}
	}
}

// TestLease kills a process that has cut its cluster, and its watchdog with
// it: nobody helps, and the links heal all the same.
func TestLease(t *testing.T) {
	needDocker(t)
	t.Parallel()
	needRoot(t)
	name := newName()
	cmd, lines := orphan(t, "makes "+name)
	lab, watchdog := isCut(t, lines)
	if err := syscall.Kill(watchdog, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	kill(t, cmd)
	killed := time.Now()
	agent := fabric.NewClient(fabric.SocketOf(lab))
	defer agent.Close()
	for lapsed := false; !lapsed; <-time.After(100 * time.Millisecond) {
		s, err := agent.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lapsed = !s.Lapsed.IsZero()
		if lapsed && len(s.Matrix) > 0 || time.Since(killed) > 3*fabric.DefaultLease {
			t.Fatalf("%s after the kill: %+v", time.Since(killed), s)
		}
	}
	t.Logf("the rules were gone %s after the kill", time.Since(killed).Round(100*time.Millisecond))
	removed, err := daemon.Clean(t.Context())
	if err != nil || removed.Containers < 4 || removed.Networks < 1 {
		t.Errorf("cleaned up %+v, %v", removed, err)
	}
	gone(t, dockerd.ClusterLabel+"="+name, lab)
}

// TestAgentIsLost kills the agent, and with it the rules, while the cluster is
// driven: that is in the history, and the next call says so, once.
func TestAgentIsLost(t *testing.T) {
	t.Parallel()
	c := up(t, options("alice", "bob"))
	ctx := t.Context()
	cut := partition(t, []string{"alice"}, []string{"bob"})
	if err := c.SetLinks(ctx, cut); err != nil {
		t.Fatal(err)
	}
	mark := c.History().Len()
	if _, err := daemon.API.ContainerKill(ctx, "peerlab-fabric-"+c.wires.lab, client.ContainerKillOptions{Signal: "KILL"}); err != nil {
		t.Fatal(err)
	}
	await(t, c, mark, "the loss", of(testbed.LabError))
	if err := c.Exec(ctx, "alice", "members", testbed.Input{}, io.Discard); err == nil || !strings.Contains(err.Error(), "no longer in force") {
		t.Errorf("the next call: %v", err)
	}
	if err := c.SetLinks(ctx, cut); err != nil {
		t.Errorf("cut again: %v", err)
	}
	if err := c.SetLinks(ctx, nil); err != nil {
		t.Errorf("heal: %v", err)
	}
}

// TestLinksForATime ends by itself, in the history too.
func TestLinksForATime(t *testing.T) {
	t.Parallel()
	c := up(t, options("alice", "bob"))
	ctx := t.Context()
	found, err := Find(ctx, daemon, c.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := found.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	cut := partition(t, []string{"alice"}, []string{"bob"})
	for _, d := range []time.Duration{-time.Second, time.Millisecond, 1000 * time.Hour} {
		if err := found.SetLinksFor(ctx, cut, d); err == nil {
			t.Errorf("%s is accepted", d)
		}
	}
	if err := found.SetLinksFor(ctx, cut, 3*time.Second); err != nil {
		t.Fatal(err)
	}
	await(t, found, 0, "the cut", of(testbed.LabCut))
	await(t, found, 0, "the end", of(testbed.LabHeal))
	var at []time.Time
	for _, e := range found.since(0) {
		if e.Kind == testbed.LabCut || e.Kind == testbed.LabHeal {
			at = append(at, e.Time)
		}
	}
	if took := at[1].Sub(at[0]); took < 3*time.Second {
		t.Errorf("it lasted %s", took)
	}
	if got, err := c.Links(ctx); err != nil || len(got) != 0 {
		t.Errorf("in force: %s, %v", got, err)
	}
}

// TestNetworkIsRemoved takes a cluster away as Compose does, which knows of no
// agent: it goes by itself.
func TestNetworkIsRemoved(t *testing.T) {
	t.Parallel()
	c := up(t, options("alice", "bob"))
	needRoot(t)
	ctx := t.Context()
	if err := c.SetLinks(ctx, partition(t, []string{"alice"}, []string{"bob"})); err != nil {
		t.Fatal(err)
	}
	lab := c.wires.lab
	members, err := daemon.List(ctx, c.Name())
	if err != nil || len(members) != 3 {
		t.Fatalf("%v, %v", members, err)
	}
	for _, m := range members {
		if err := daemon.RemoveContainer(ctx, m.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := daemon.API.NetworkRemove(ctx, c.networkName(), client.NetworkRemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	// Probes are this program's until Close.
	if err := c.wires.close(ctx); err != nil {
		t.Error(err)
	}
	gone(t, dockerd.ClusterLabel+"="+c.Name(), lab)
	if _, err := c.Links(ctx); errors.Is(err, testbed.ErrUnable) {
		t.Error(err)
	}
}
