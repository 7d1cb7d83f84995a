package main

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
)

// endUp ends peerlab up with a signal after a random while and waits until
// nothing of the cluster is left. A cluster that was complete by then stays,
// and is removed by name.
func endUp(t *testing.T, api *client.Client, up []string, sig syscall.Signal, cluster string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], up...)
	cmd.Env = append(os.Environ(), selfVariable+"=1", "PEERLAB_CLUSTER="+cluster)
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	after := rand.N(1500 * time.Millisecond)
	instant := time.NewTimer(after)
	<-instant.C
	_ = cmd.Process.Signal(sig)
	switch p := (process{t, cluster}); {
	case cmd.Wait() == nil:
		p.must("down")
	case strings.Contains(errs.String(), "3 of 3 peers see the whole cluster"):
		_, _, _ = p.call("down") // it may have been let go, as a whole, just before the kill
	}
	// Three looks in which there is nothing: a request may still be under way.
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for quiet := 0; quiet < 3; <-tick.C {
		filters := make(client.Filters).Add("label", "peerlab.cluster="+cluster)
		containers, err := api.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: filters})
		if err != nil {
			t.Fatal(err)
		}
		networks, err := api.NetworkList(t.Context(), client.NetworkListOptions{Filters: filters})
		if err != nil {
			t.Fatal(err)
		}
		left := len(containers.Items) + len(networks.Items)
		if quiet++; left > 0 {
			quiet = 0
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s after %s: %d containers and networks are left", sig, after, left)
		}
	}
	t.Logf("%s after %s: nothing is left", sig, after.Round(time.Millisecond))
}
