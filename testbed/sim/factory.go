package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"peerlab/peer"
	"peerlab/testbed"
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

// ours are settings that the simulator makes itself.
var ours = []string{"bind", "chat-bind", "advertise", "bootstrap", "allow-shell"}

// Create implements testbed.Factory.
func (f *factory) Create(_ context.Context, s testbed.Spec) (testbed.Engine, error) {
	if len(s.Peers) > testbed.MaxPeers {
		return nil, fmt.Errorf("%d peers are too many: at most %d", len(s.Peers), testbed.MaxPeers)
	}
	if _, ok := s.Settings["name"]; ok {
		return nil, errors.New("setting name: it would give all peers one name")
	}
	for name := range s.Own {
		if !slices.Contains(s.Peers, name) {
			return nil, testbed.NoPeer(name, s.Peers)
		}
	}
	seen := make(map[string]bool, len(s.Peers))
	for _, name := range s.Peers {
		if err := testbed.CheckName(name); err != nil {
			return nil, err
		}
		if name == testbed.Bootstrap || name == testbed.Lab || seen[name] {
			return nil, fmt.Errorf("the name %s is taken", name)
		}
		seen[name] = true
		if len(seen) > 1 && s.Own[name] == nil {
			continue // its settings are those of another
		}
		if err := check(name, s.Of(name)); err != nil {
			return nil, err
		}
	}
	c := newCluster(f.sim, s)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clusters = append(f.clusters, c)
	return c, nil
}

// check says what is wrong with the settings of a peer.
func check(name string, settings map[string]string) error {
	for _, own := range ours {
		if _, ok := settings[own]; ok {
			return fmt.Errorf("setting %s of %s: the simulator chooses it", own, name)
		}
	}
	conf := peer.Config{Name: name}
	if err := conf.Configure(settings); err != nil {
		return err
	}
	conf.State, conf.Chat.SecretFile = "", "" // are the peer's own files
	_, err := peer.New(conf)
	return err
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
