package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"peerlab/testbed"
	"peerlab/testbed/neighbours"
)

// ErrNeighbours is the overflow of the table in which the host of the daemon keeps
// the neighbours of all containers.
var ErrNeighbours = errors.New("the host's table of neighbours (ARP) has overflowed: packets were dropped that nobody asked to drop; raise gc_thresh3, as peerlab doctor --peers N says")

// neighbourTable reads the table of the daemon's host, if that is this one.
type neighbourTable struct {
	root string // of /proc, "" where the daemon is elsewhere

	once sync.Once
	err  error
}

// Neighbours returns the table of neighbours of the daemon's host. It is an error
// where that is another one, or runs in a machine of its own.
func (d *Daemon) Neighbours(ctx context.Context) (neighbours.Table, error) {
	n := &d.neighbours
	if n.root == "" {
		return neighbours.Table{}, errors.New("the Docker daemon runs elsewhere: the neighbours of its host cannot be seen from here")
	}
	n.once.Do(func() {
		about, err := d.About(context.WithoutCancel(ctx))
		release, readErr := os.ReadFile(n.root + "/proc/sys/kernel/osrelease")
		if n.err = errors.Join(err, readErr); n.err == nil && strings.TrimSpace(string(release)) != about.Kernel {
			n.err = errors.New("the Docker daemon runs in a machine of its own: the neighbours of that cannot be seen from here")
		}
	})
	if n.err != nil {
		return neighbours.Table{}, n.err
	}
	return neighbours.Read(os.DirFS(n.root))
}

// overflows returns a function that reports whether the table has overflowed since
// overflows was called. What cannot be told has not.
func (d *Daemon) overflows(ctx context.Context) func() bool {
	before, err := d.Neighbours(ctx)
	if err != nil {
		return func() bool { return false }
	}
	return func() bool {
		now, err := d.Neighbours(ctx)
		return err == nil && now.Overflows > before.Overflows
	}
}

// neighboursEvery is how often the table is looked at while a history is filled.
const neighboursEvery = time.Second

// watchNeighbours records the first overflow of the table, until ctx ends: what was
// observed is not what was asked for.
func (c *Cluster) watchNeighbours(ctx context.Context) {
	overflowed := c.daemon.overflows(ctx)
	tick := time.NewTicker(neighboursEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if overflowed() {
			c.problem("", ErrNeighbours)
			return
		}
	}
}

// undoTuning puts back the limits of the host that were changed for clusters, as the
// labels of their networks have them.
func (d *Daemon) undoTuning(labels ...string) error {
	changes := make([]Tuning, len(labels))
	errs := make([]error, len(labels))
	for i, label := range labels {
		changes[i], errs[i] = neighbours.ParseChange(label)
	}
	if d.neighbours.root != "" {
		errs = append(errs, neighbours.Host(d.neighbours.root).Undo(changes...))
	}
	return errors.Join(errs...)
}

// Tuning is a change of the host's limits that Options has for a cluster.
type Tuning = neighbours.Change

// Tune gives the table of neighbours room for a cluster of so many peers, which
// takes root, unless it has. The change is none then.
func (d *Daemon) Tune(ctx context.Context, peers int) (Tuning, error) {
	table, err := d.Neighbours(ctx)
	if err != nil {
		return Tuning{}, err
	}
	if table.Room() >= neighbours.Needed(peers) {
		return Tuning{}, nil
	}
	change, err := neighbours.Host(d.neighbours.root).Set(table.For(table.Entries, neighbours.Needed(peers)))
	if err != nil {
		return Tuning{}, fmt.Errorf("%w: %w", testbed.ErrUnable, err)
	}
	return change, nil
}

// Untune takes back what Tune changed.
func (d *Daemon) Untune(t Tuning) error { return d.undoTuning(t.String()) }
