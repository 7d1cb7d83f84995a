package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/spf13/pflag"

	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/neighbors"
)

// tuneFlag is the flag --tune-host.
func tuneFlag(flags *pflag.FlagSet, tune *bool) {
	flags.BoolVar(tune, "tune-host", false, "enlarge the host's neighbor (ARP) table for the peers, and restore it at the end (needs root)")
}

// hostTuner sees to it that the host of a daemon has room for the neighbors of
// clusters, or says that it has not.
type hostTuner struct {
	daemon *dockerd.Daemon
	tune   bool
	errs   io.Writer

	mu      sync.Mutex
	peers   int // of the largest cluster so far
	changes []dockerd.Tuning
}

// prepare is called before a cluster of so many peers is made. Where there is no
// room for it, it makes some if it may, and returns what it changed.
func (t *hostTuner) prepare(ctx context.Context, peers int) (dockerd.Tuning, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if peers <= t.peers {
		return dockerd.Tuning{}, nil
	}
	change, err := t.makeRoom(ctx, peers)
	if err == nil {
		t.peers = peers
	}
	return change, err
}

// makeRoom is prepare for a cluster that is larger than those before.
func (t *hostTuner) makeRoom(ctx context.Context, peers int) (dockerd.Tuning, error) {
	table, err := t.daemon.Neighbors(ctx)
	if err != nil {
		if t.tune {
			return dockerd.Tuning{}, fmt.Errorf("--tune-host: %w", err)
		}
		return dockerd.Tuning{}, nil // it is another host's
	}
	lack := lacksNeighbors(table, peers)
	if lack == "" {
		return dockerd.Tuning{}, nil
	}
	if !t.tune {
		fmt.Fprintf(t.errs, "peerlab: %s: %s, or --tune-host\n", lack, remedy(table, peers))
		return dockerd.Tuning{}, nil
	}
	change, err := t.daemon.Tune(ctx, peers)
	if errors.Is(err, fs.ErrPermission) {
		return change, fmt.Errorf("--tune-host needs root: %s does the same", remedy(table, peers))
	}
	if err != nil {
		return change, fmt.Errorf("--tune-host: %w", err)
	}
	t.changes = append(t.changes, change)
	return change, nil
}

// restore takes back all changes, the last one first.
func (t *hostTuner) restore() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.changes) > 0 {
		last := len(t.changes) - 1
		if err := t.daemon.Untune(t.changes[last]); err != nil {
			fmt.Fprintf(t.errs, "peerlab: %v\n", err)
		}
		t.changes = t.changes[:last]
	}
}

// lacksNeighbors says what is missing for a cluster of so many peers, "" if
// nothing is.
func lacksNeighbors(table neighbors.Table, peers int) string {
	needed := neighbors.Needed(peers)
	if needed <= table.Room() {
		return ""
	}
	return fmt.Sprintf("%d peers that all know each other take %d entries in the host's neighbor (ARP) table, which holds %d for all containers and already has %d: when it is full, the host loses packets",
		peers, needed, table.Most, table.Entries)
}

// remedy is the command that gives the table room for so many peers.
func remedy(table neighbors.Table, peers int) string {
	return table.For(table.Entries, neighbors.Needed(peers)).Command()
}

// tunedFactory prepares the host before each cluster.
type tunedFactory struct {
	testbed.Factory
	tuner *hostTuner
}

// Create implements testbed.Factory.
func (f tunedFactory) Create(ctx context.Context, s testbed.Spec) (testbed.Engine, error) {
	if _, err := f.tuner.prepare(ctx, len(s.Peers)); err != nil {
		return nil, err
	}
	return f.Factory.Create(ctx, s)
}
