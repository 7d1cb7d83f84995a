package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/go-chi/chi/v5/middleware"

	"peerlab/bootstrap"
	"peerlab/bootstrap/store"
)

const (
	// checkTimeout leaves time for one lost packet to be sent again.
	checkTimeout = 2 * time.Second
	// checkAgain is how long a verdict stands: a peer is not contacted more
	// often than this, however many report it.
	checkAgain = 5 * time.Second
	// maxChecks are under way at once.
	maxChecks = 8
)

// checker finds out whether a registered peer that was reported dead still
// answers. What a report says is never dialed, nor what was registered for
// somebody else without a write token: see service.isForeign. Otherwise
// whoever registers and reports could have the service try the ports of a
// network for him.
type checker struct {
	dial  func(ctx context.Context, addr string) error
	slots chan struct{}

	mu       sync.Mutex
	verdicts map[string]*verdict // by address
}

type verdict struct {
	done  chan struct{} // closed once alive is known
	alive bool
	until time.Time
}

func newChecker(dial func(context.Context, string) error) *checker {
	if dial == nil {
		dial = dialTCP
	}
	return &checker{dial: dial, slots: make(chan struct{}, maxChecks), verdicts: make(map[string]*verdict)}
}

func dialTCP(ctx context.Context, addr string) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err == nil {
		_ = c.Close() // that it came about is all there is to know
	}
	return err
}

// alive says whether somebody answers at the address of e, by a connection
// made now or a moment ago. When ctx ends first it is in doubt, and alive.
func (c *checker) alive(ctx context.Context, e store.Entry) bool {
	addr, now := e.Addr(), time.Now()
	c.mu.Lock()
	v := c.verdicts[addr]
	if v == nil || now.After(v.until) {
		for a, old := range c.verdicts {
			if now.After(old.until) {
				delete(c.verdicts, a)
			}
		}
		v = &verdict{done: make(chan struct{}), alive: true, until: now.Add(checkAgain)}
		c.verdicts[addr] = v
		c.mu.Unlock()
		v.alive = c.check(ctx, addr)
		close(v.done)
		return v.alive
	}
	c.mu.Unlock()
	select {
	case <-v.done:
		return v.alive
	case <-ctx.Done():
		return true
	}
}

func (c *checker) check(ctx context.Context, addr string) bool {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return true
	}
	dialing, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return c.dial(dialing, addr) == nil || ctx.Err() != nil
}

// dead returns those of the registered peers with these IDs that answer no
// longer. Those that it may not ask are in doubt, and not among them.
func (c *checker) dead(ctx context.Context, peers map[string]store.Entry, ids []string) []store.Entry {
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		dead []store.Entry
	)
	for _, id := range ids {
		e, ok := peers[id]
		if !ok || e.Foreign {
			continue
		}
		all.Go(func() {
			if !c.alive(ctx, e) {
				mu.Lock()
				dead = append(dead, e)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return dead
}

// remove takes dead peers out of s, unless they have said since that they are
// there.
func remove(s *store.State, dead []store.Entry) {
	for _, e := range dead {
		if now, ok := s.Peers[e.ID]; ok && now.Renewed == e.Renewed && now.Addr() == e.Addr() {
			s.Leave(e.ID)
		}
	}
}

// checkAddr refuses addresses that no other peer could contact, or that would
// make the check of a report reach what is not a peer.
func (s *service) checkAddr(p bootstrap.Peer) error {
	ip, err := netip.ParseAddr(p.IP)
	if err != nil {
		return err
	}
	ip = ip.Unmap()
	switch {
	case ip.IsLoopback() && !s.AllowLoopback:
		return fmt.Errorf("ip %s is a loopback address: no other host reaches it (--allow-loopback accepts it)", ip)
	case ip.IsUnspecified(), ip.IsMulticast(), ip.IsLinkLocalUnicast(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("ip %s is no address of one host that others reach", ip)
	case len(s.Networks) > 0 && !slices.ContainsFunc(s.Networks, func(n netip.Prefix) bool { return n.Contains(ip) }):
		return fmt.Errorf("ip %s is in none of the networks whose peers this service takes (--networks)", ip)
	}
	return nil
}

// isForeign reports whether p is registered by somebody at another address who
// has shown no write token. Then p may be any host, and the service must not
// connect to it.
func (s *service) isForeign(r *http.Request, p bootstrap.Peer) bool {
	ip, err := netip.ParseAddr(p.IP)
	return (err != nil || ip.Unmap() != middleware.GetClientIPAddr(r.Context()).Unmap()) && s.Tokens.of(r) < writer
}
