package peer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"peerlab/event"
	"peerlab/peer/membership"
	"peerlab/peer/registration"
)

const (
	minRetry = 250 * time.Millisecond // first pause between two tries to join, doubling
	maxRetry = 5 * time.Second
	// staleAfter is after how many rounds in which nobody on the bootstrap
	// list answered a peer that is alone takes their place.
	staleAfter = 3
	// maxContacts bounds how many addresses one rejoin round contacts.
	maxContacts = 16
)

// currentRegistrar returns the bootstrap layer, nil if there is none.
func (p *Peer) currentRegistrar() *registration.Registrar {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.registrar
}

// join makes this peer part of a cluster, trying until somebody on the
// bootstrap list answers, the list holds nobody else, or ctx ends. It fails
// when the name is taken.
func (p *Peer) join(ctx context.Context, s *membershipInstance) error {
	retry := minRetry
	for round := 1; !p.tryJoin(ctx, s, round); round++ {
		if !pause(ctx, jitter(retry)) {
			return ctx.Err()
		}
		retry = min(2*retry, maxRetry)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if addr, stale := s.members.TakenAt(); addr != "" {
		return fmt.Errorf("the name %s is taken by a live peer at %s: choose another with --name", p.conf.Name, addr)
	} else if stale {
		s.markStaleAddress()
		p.log.Warn("others remember this name at another address: they take this peer in when they have forgotten it there")
	}
	p.begin(s)
	return nil
}

// begin marks the peer ready, unless it has left meanwhile, and starts, once in a
// membership, to rejoin and to maintain its registration.
func (p *Peer) begin(s *membershipInstance) {
	if s.checkUsable() != nil {
		return
	}
	s.mu.Lock()
	was := s.ready
	s.ready = true
	s.mu.Unlock()
	if !was {
		p.events.Emit(event.Event{Kind: event.PeerReady, Members: s.members.Online()})
		p.log.Info("ready", "members", s.members.Online())
	}
	s.mu.Lock()
	if p.conf.Rejoin > 0 && !s.rejoining && !s.down {
		s.rejoining = true
		s.tasks.Go(func() { p.rejoin(s) })
	}
	if registrar := p.currentRegistrar(); registrar != nil && !s.registering && !s.down {
		s.registering = true
		s.tasks.Go(func() { registrar.Maintain(s.ctx, group{s.members}) })
	}
	s.mu.Unlock()
}

// tryJoin registers and contacts everyone on the list, and says whether this
// peer's search is over.
func (p *Peer) tryJoin(ctx context.Context, s *membershipInstance, round int) (done bool) {
	members, registrar := s.members, p.currentRegistrar()
	if registrar == nil {
		p.joinRemembered(ctx, members)
		return true // nobody to ask: this peer waits to be joined
	}
	data, err := registrar.Join(ctx)
	if err != nil {
		p.joinRemembered(ctx, members)
		// Others may have found this peer meanwhile.
		return members.Online() > 1
	}
	addrs := registrar.Addrs(data)
	if len(addrs) == 0 {
		return true // the first of its cluster
	}
	if _, err = s.contact(ctx, addrs); err == nil {
		return true
	}
	p.log.Warn("nobody on the bootstrap list answers", "addrs", addrs, "err", err)
	if round >= staleAfter && members.Online() == 1 {
		_ = registrar.Replace(ctx, addrs) // it logs; the next round sees what came of it
	}
	return members.Online() > 1
}

// rejoin contacts, once an interval, former members that are missing, because
// memberlist itself never contacts the dead again (hashicorp/memberlist#222).
// Now and then it asks the bootstrap service too, for a part of the cluster
// this peer never met.
func (p *Peer) rejoin(s *membershipInstance) {
	var (
		ctx  = s.ctx
		mu   sync.Mutex
		busy = make(map[string]bool) // an address that answers nothing takes TCPTimeout
	)
	for pause(ctx, jitter(p.conf.Rejoin)) {
		if s.checkUsable() != nil {
			continue // after a farewell, nobody is called back
		}
		addrs := s.members.Missing()
		// Each of n members asks with probability 1/n: one request an interval
		// from the whole cluster, whatever its size.
		if registrar := p.currentRegistrar(); registrar != nil && rand.IntN(max(s.members.Online(), 1)) == 0 {
			if data, err := registrar.Renew(ctx, group{s.members}); err == nil {
				addrs = append(addrs, unknown(registrar.Addrs(data), s.members)...)
			}
		}
		taken, stale := s.members.TakenAt()
		if taken != "" {
			p.log.Warn("another live peer has this peer's name", "addr", taken)
		}
		if stale {
			s.markStaleAddress()
		}
		if s.isReoffering() {
			others := online(s.members)
			rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
			addrs = append(addrs, others[:min(len(others), 3)]...)
		}
		rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
		for _, addr := range addrs[:min(len(addrs), maxContacts)] {
			mu.Lock()
			again := busy[addr]
			busy[addr] = true
			mu.Unlock()
			if again {
				continue
			}
			s.tasks.Go(func() {
				if _, err := s.members.Join(ctx, []string{addr}); err == nil {
					p.log.Info("rejoined", "addr", addr)
				} else {
					p.log.Debug("rejoin", "addr", addr, "err", err)
				}
				mu.Lock()
				delete(busy, addr)
				mu.Unlock()
			})
		}
	}
}

// unknown returns those of addrs at which no member is online.
func unknown(addrs []string, members *membership.Membership) []string {
	known := online(members)
	return slices.DeleteFunc(addrs, func(a string) bool { return slices.Contains(known, a) })
}

// online returns the addresses of the other online members.
func online(members *membership.Membership) []string {
	var addrs []string
	for _, m := range members.Members() {
		if m.Online() && m.Name != members.Name() {
			addrs = append(addrs, m.Addr)
		}
	}
	return addrs
}

// follow keeps the app informed of who is there, and online of how many there
// are. A peer that was created by hand is a member of a cluster once others have
// found it: it may never join one.
func (p *Peer) follow(s *membershipInstance, online *atomic.Int64, byHand bool) {
	for s.ctx.Err() == nil {
		changed := s.members.Changed()
		n := s.members.Online()
		online.Store(int64(n))
		if byHand && n > 1 {
			p.begin(s)
			byHand = false
		}
		p.updateApp(s)
		select {
		case <-changed:
		case <-s.ctx.Done():
		}
	}
}

// jitter returns a duration between half of d and one and a half of it.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }

// pause waits for d and says whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
