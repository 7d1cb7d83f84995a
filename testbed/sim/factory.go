package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"peerlab/peer"
	"peerlab/testbed"
	"peerlab/testbed/settings"
)

// factory makes the clusters of one Run.
type factory struct {
	sim *simulation

	mu       sync.Mutex
	clusters []*Cluster
}

var _ testbed.Factory = (*factory)(nil)

// Name implements testbed.Factory.
func (*factory) Name() string { return "sim" }

// Check implements testbed.Factory: the simulator can do every link there is.
func (*factory) Check(_ context.Context, links testbed.Links) error {
	for _, pair := range links.Pairs() {
		if wrong := links[pair].Problems(); len(wrong) > 0 {
			return fmt.Errorf("%s: %s", pair, strings.Join(wrong, "; "))
		}
	}
	return nil
}

// Owned implements testbed.Factory.
func (*factory) Owned() map[string]string {
	owned := settings.Owned()
	owned["allow-shell"] = "a simulated peer runs no programs of this host"
	return owned
}

// defaults are the settings that a simulated peer of a cluster of n has where
// nobody asks for others. Compression takes half of the time, and here there is
// nothing to save. The history has all events: each peer keeps fewer, the more
// there are.
func defaults(n int) map[string]string {
	return map[string]string{
		"set":         "EnableCompression=false",
		"events-kept": strconv.Itoa(min(max(50_000/max(n, 1), 50), peer.DefaultEventsKept)),
	}
}

// Used implements testbed.Factory.
func (f *factory) Used(s testbed.Spec) map[string]string {
	return settings.Used(f.Owned(), defaults(len(s.Peers)), s.Settings)
}

// Create implements testbed.Factory.
func (f *factory) Create(_ context.Context, s testbed.Spec) (testbed.Engine, error) {
	if err := settings.Check(f.Owned(), s); err != nil {
		return nil, err
	}
	c := newCluster(f.sim, s)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clusters = append(f.clusters, c)
	return c, nil
}

// close closes all clusters.
func (f *factory) close() error {
	f.mu.Lock()
	clusters := f.clusters
	f.mu.Unlock()
	var errs []error
	for _, c := range clusters {
		errs = append(errs, c.Close(context.Background()))
	}
	return errors.Join(errs...)
}

// last returns the last line that whoever drives a cluster noted, and what was
// done to the cluster since.
func (f *factory) last() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var latest time.Time
	var text string
	for _, c := range f.clusters {
		var done []string
		var at time.Time
		events, _ := c.history.Since(0)
		for _, e := range slices.Backward(events) {
			if e.Peer != testbed.Lab {
				continue
			}
			if at.IsZero() {
				at = e.Time
			}
			if e.Kind == testbed.LabMark || len(done) == 0 {
				done = append(done, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s", e.Kind, e.Member, e.Text)), " "))
			}
			if e.Kind == testbed.LabMark {
				break
			}
		}
		if len(done) > 0 && !at.Before(latest) {
			slices.Reverse(done)
			latest, text = at, strings.Join(done, ", ")
		}
	}
	return text
}
