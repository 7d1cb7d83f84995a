package dockerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"peerlab/testbed"
	"peerlab/testbed/neighbors"
)

// ErrNeighbors is the overflow of the table in which the host of the daemon keeps
// the neighbors of all containers.
var ErrNeighbors = errors.New("the host's table of neighbors (ARP) has overflowed: packets were dropped that nobody asked to drop; raise gc_thresh3, as peerlab doctor --peers N says")

// neighborTable reads the table of the daemon's host, if that is this one.
type neighborTable struct {
	root string // of /proc, "" where the daemon is elsewhere

	once sync.Once
	err  error
}

// Neighbors returns the table of neighbors of the daemon's host. It is an error
// where that is another one, or runs in a machine of its own.
func (d *Daemon) Neighbors(ctx context.Context) (neighbors.Table, error) {
	n := &d.neighbors
	if n.root == "" {
		return neighbors.Table{}, errors.New("the Docker daemon runs elsewhere: the neighbors of its host cannot be seen from here")
	}
	n.once.Do(func() {
		about, err := d.About(context.WithoutCancel(ctx))
		release, readErr := os.ReadFile(n.root + "/proc/sys/kernel/osrelease")
		if n.err = errors.Join(err, readErr); n.err == nil && strings.TrimSpace(string(release)) != about.Kernel {
			n.err = errors.New("the Docker daemon runs in a machine of its own: the neighbors of that cannot be seen from here")
		}
	})
	if n.err != nil {
		return neighbors.Table{}, n.err
	}
	return neighbors.Read(os.DirFS(n.root))
}

// WatchOverflows returns a function that reports whether the table has overflowed since
// WatchOverflows was called. What cannot be told has not.
func (d *Daemon) WatchOverflows(ctx context.Context) func() bool {
	before, err := d.Neighbors(ctx)
	if err != nil {
		return func() bool { return false }
	}
	return func() bool {
		now, err := d.Neighbors(ctx)
		return err == nil && now.Overflows > before.Overflows
	}
}

// UndoTuning puts back the limits of the host that were changed for clusters, as the
// labels of their networks have them.
func (d *Daemon) UndoTuning(labels ...string) error {
	changes := make([]Tuning, len(labels))
	errs := make([]error, len(labels))
	for i, label := range labels {
		changes[i], errs[i] = neighbors.ParseChange(label)
	}
	if d.neighbors.root != "" {
		errs = append(errs, neighbors.Host(d.neighbors.root).Undo(changes...))
	}
	return errors.Join(errs...)
}

// Tuning is a change of the host's limits that Options has for a cluster.
type Tuning = neighbors.Change

// Tune gives the table of neighbors room for a cluster of so many peers, which
// takes root, unless it has. The change is none then.
func (d *Daemon) Tune(ctx context.Context, peers int) (Tuning, error) {
	table, err := d.Neighbors(ctx)
	if err != nil {
		return Tuning{}, err
	}
	if table.Room() >= neighbors.Needed(peers) {
		return Tuning{}, nil
	}
	change, err := neighbors.Host(d.neighbors.root).Set(table.For(table.Entries, neighbors.Needed(peers)))
	if err != nil {
		return Tuning{}, fmt.Errorf("%w: %w", testbed.ErrUnable, err)
	}
	return change, nil
}

// Untune takes back what Tune changed.
func (d *Daemon) Untune(t Tuning) error { return d.UndoTuning(t.String()) }
