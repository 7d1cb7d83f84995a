package peer

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"peerlab/peer/broadcast"
	"peerlab/peer/membership"
)

// membershipInstance is one membership, from create to delete. memberlist
// cannot rejoin after leaving, so every return is a new instance.
type membershipInstance struct {
	members   *membership.Membership
	values    *broadcast.Map
	listening atomic.Bool     // what others say of the key/value map
	ctx       context.Context // ends at shutdown
	end       context.CancelFunc
	tasks     sync.WaitGroup

	mu           sync.Mutex
	down         bool // shut down, not yet deleted
	downSince    time.Time
	noNetwork    bool // its transport is shut down
	started      bool // broadcasts are gossiped
	ready        bool // a member of a cluster, or the first of one
	rejoining    bool
	registering  bool      // its registration is maintained
	reofferUntil time.Time // until when this peer offers itself anew, see markStaleAddress
}

// These mark, among user messages, those of the key/value map and of the app.
const (
	valuesTag = 'k'
	appTag    = 'a'
)

// silentMap is the key/value map as a channel that stays silent until the instance
// has started its broadcasts. It listens as long as membership runs: memberlist
// calls it before that and for a moment after, when nothing of this instance may be
// reported.
type silentMap struct {
	*broadcast.Map
	instance *membershipInstance
}

// Broadcasts implements membership.Channel.
func (g silentMap) Broadcasts(overhead, limit int) [][]byte {
	if !g.instance.broadcasting() {
		return nil
	}
	return g.Map.Broadcasts(overhead, limit)
}

// Receive implements membership.Channel.
func (g silentMap) Receive(msg []byte) {
	if g.instance.listening.Load() {
		g.Map.Receive(msg)
	}
}

// Merge implements membership.Channel.
func (g silentMap) Merge(state []byte, join bool) {
	if g.instance.listening.Load() {
		g.Map.Merge(state, join)
	}
}

// errNoMembership answers a step that needs the layer.
var errNoMembership = errors.New("membership is not created: membership create first")

// membershipState is what the membership layer of a peer is, in the words of info.
type membershipState string

const (
	membershipNone      membershipState = "not created"
	membershipUp        membershipState = "up"
	membershipNoNetwork membershipState = "without network"
	membershipLeft      membershipState = "left"
	membershipDown      membershipState = "shut down"
)

// state returns what this instance is; nil is none.
func (s *membershipInstance) state() membershipState {
	if s == nil {
		return membershipNone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.down:
		return membershipDown
	case s.members.HasLeft():
		return membershipLeft
	case s.noNetwork:
		return membershipNoNetwork
	}
	return membershipUp
}

// checkUsable returns why this membership cannot go on.
func (s *membershipInstance) checkUsable() error {
	switch s.state() {
	case membershipNone:
		return errNoMembership
	case membershipDown:
		return errors.New("membership is shut down: init makes a new one, membership delete forgets it")
	case membershipLeft:
		return errors.New("this peer has left and cannot rejoin: init makes it a new membership")
	}
	return nil
}

// inCluster returns nil once this peer is a member of a cluster, or has found that
// it is the first of one.
func (s *membershipInstance) inCluster() error {
	if err := s.checkUsable(); err != nil {
		return err
	}
	if s.state() == membershipNoNetwork {
		return errors.New("membership's transport is shut down: init makes a new membership")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ready {
		return errors.New("the peer has not joined a cluster yet")
	}
	return nil
}

// currentInstance returns the present membership, also one that is shut down.
func (p *Peer) currentInstance() (*membershipInstance, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.membership == nil {
		return nil, errNoMembership
	}
	return p.membership, nil
}

// activeInstance returns the present membership if it can still act.
func (p *Peer) activeInstance() (*membershipInstance, error) {
	s, err := p.currentInstance()
	if err != nil {
		return nil, err
	}
	return s, s.checkUsable()
}

// shutdown ends the instance without a word to the others.
func (s *membershipInstance) shutdown() error {
	s.mu.Lock()
	down := s.down
	if !down {
		s.down, s.downSince = true, time.Now()
	}
	s.mu.Unlock()
	s.listening.Store(false)
	if down {
		return nil
	}
	s.end()
	s.tasks.Wait()
	return s.members.Shutdown()
}

// lastInstant returns until when this instance is, or was, up to date: now, or its
// shutdown.
func (s *membershipInstance) lastInstant() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return s.downSince
	}
	return time.Now()
}

// contact joins the peers at addrs. To be accused by them at once means that
// they remember an earlier instance of this peer. At another address than this
// one's they refuse the refutation, which this peer is not told.
func (s *membershipInstance) contact(ctx context.Context, addrs []string) (int, error) {
	before := s.members.Incarnation()
	n, err := s.members.Join(ctx, addrs)
	if s.members.Incarnation() > before {
		s.markStaleAddress()
	}
	return n, err
}

// markStaleAddress notes that others may hold this peer's name at an old address and
// so refuse this one. Nothing tells when they have forgotten it, once they hold
// the old entry dead: so the peer offers itself anew for as long as that can
// take, by memberlist's formulas.
func (s *membershipInstance) markStaleAddress() {
	conf, n := s.members.Config(), float64(s.members.Online())
	suspicion := float64(conf.SuspicionMaxTimeoutMult*conf.SuspicionMult) * max(1, math.Log10(n)) * float64(conf.ProbeInterval)
	forget := time.Duration(suspicion) + conf.GossipToTheDeadTime + time.Duration(2*n)*conf.ProbeInterval
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reofferUntil = time.Now().Add(forget)
}

// isReoffering reports whether this peer has to offer itself anew.
func (s *membershipInstance) isReoffering() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.reofferUntil)
}

// broadcasting says whether begin was called.
func (s *membershipInstance) broadcasting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started
}

// begin starts to gossip broadcasts.
func (s *membershipInstance) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = true
}
