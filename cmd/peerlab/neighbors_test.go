package main

import (
	"io"
	"strings"
	"testing"

	"peerlab/testbed/neighbors"
)

// TestLacksNeighbors says before there is a cluster whether its neighbors fit, and
// what makes room.
func TestLacksNeighbors(t *testing.T) {
	table := neighbors.Table{Thresholds: neighbors.Thresholds{Soft: 512, Most: 1024}, Entries: 6}
	for peers, lacks := range map[int]bool{5: false, 31: false, 32: true, 50: true} {
		text := lacksNeighbors(table, peers)
		if (text != "") != lacks {
			t.Errorf("%d peers: %q", peers, text)
		}
	}
	if text := lacksNeighbors(table, 50); !strings.Contains(text, "50 peers that all know each other take 2550 entries") || !strings.Contains(text, "holds 1024 for all containers and already has 6") {
		t.Error(text)
	}
	if text := remedy(table, 50); text != "sudo sysctl -w net.ipv4.neigh.default.gc_thresh3=5112 net.ipv4.neigh.default.gc_thresh2=2556" {
		t.Error(text)
	}
	table.Thresholds = table.For(table.Entries, neighbors.Needed(50))
	if text := lacksNeighbors(table, 50); text != "" {
		t.Errorf("the remedy is not enough: %s", text)
	}
}

// TestTuneHostIsForContainers refuses --tune-host where there are none.
func TestTuneHostIsForContainers(t *testing.T) {
	if status, _, errs := call(nil, "run", "--engine", "sim", "--tune-host", "gallery/crash"); status != 2 || !strings.Contains(errs, "--tune-host is for containers") {
		t.Errorf("%d %s", status, errs)
	}
}

// TestTuneHostFailsAgain asks for room twice where it cannot be made: the second
// cluster has none either.
func TestTuneHostFailsAgain(t *testing.T) {
	startFakeDaemon(t, false)
	tuner := &hostTuner{daemon: connect(t), tune: true, errs: io.Discard}
	for range 2 {
		if _, err := tuner.prepare(t.Context(), 50); err == nil || !strings.Contains(err.Error(), "--tune-host") {
			t.Errorf("%v, want that the host cannot be changed", err)
		}
	}
}
