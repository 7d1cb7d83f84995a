package docker

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/neighbors"
)

// crowdedHost is the root of a host of a recorded daemon whose table of neighbors
// holds so many. The function it returns says how often the table has overflowed, and
// how many entries it has.
func crowdedHost(t *testing.T, most int) (root string, set func(overflows, entries int)) {
	t.Helper()
	root = t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, "proc", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write("sys/net/ipv4/neigh/default/gc_thresh3", fmt.Sprint(most))
	write("sys/net/ipv4/neigh/default/gc_thresh2", fmt.Sprint(most/2))
	write("sys/kernel/osrelease", "crowded\n")
	set = func(overflows, entries int) {
		write("net/stat/arp_cache", fmt.Sprintf("entries  table_fulls\n%08x %08x\n", entries, overflows))
	}
	set(0, 1)
	return root, set
}

// TestNeighborsOverflow has the table of neighbors overflow while a cluster is
// followed: that is told, and makes a run inconclusive.
func TestNeighborsOverflow(t *testing.T) {
	come, tell := io.Pipe()
	root, set := crowdedHost(t, 1024)
	c := newCluster(daemonOf(t, &recorded{now: come, states: map[string]string{"alice": `{"Running": true, "StartedAt": "2026-01-02T03:00:00Z"}`}}, root), "lab")
	defer func() { _ = tell.Close(); _ = c.Close(t.Context()) }()
	set(3, 1023) // before anybody looks
	looked := c.daemon.WatchOverflows(t.Context())
	c.History()
	if looked() {
		t.Error("an overflow of long ago counts")
	}
	// The watch may begin only now: the table goes on overflowing.
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n, told := 4, false; !told; n++ {
		set(n, 1023)
		told = slices.ContainsFunc(c.since(0), func(e event.Event) bool {
			return e.Kind == testbed.LabError && e.Error == dockerd.ErrNeighbors.Error()
		})
		if n > 600 {
			t.Fatal("the overflow is not told")
		}
		<-tick.C
	}
}

// TestTuning gives a host room for the neighbors of a cluster, and takes that back
// with the label of its network.
func TestTuning(t *testing.T) {
	root, set := crowdedHost(t, 1024)
	d := daemonOf(t, &recorded{}, root)
	set(0, 100)
	if c, err := d.Tune(t.Context(), 20); err != nil || c != (dockerd.Tuning{}) {
		t.Errorf("for 20 peers: %+v, %v", c, err)
	}
	c, err := d.Tune(t.Context(), 50)
	if err != nil {
		t.Fatal(err)
	}
	is := func(when string, most int) {
		t.Helper()
		if now, err := d.Neighbors(t.Context()); err != nil || now.Most != most {
			t.Errorf("%s: %+v, %v, want %d", when, now, err, most)
		}
	}
	is("for 50 peers", 2*(100+neighbors.Needed(50)))
	if err := d.UndoTuning(c.String()); err != nil {
		t.Error(err)
	}
	is("taken back", 1024)
	if err := d.UndoTuning("what"); err == nil || !strings.Contains(err.Error(), "what") {
		t.Errorf("a label that is none: %v", err)
	}
}
