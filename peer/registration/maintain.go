package registration

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"peerlab/bootstrap"
)

// Member is what gossip tells of one member of the cluster.
type Member struct {
	Name    string
	Addr    string // host:port
	Online  bool
	Started int64  // Unix seconds; 0 if unknown
	ID      string // under which it is registered, "" if it is not
}

// Group is the cluster as this peer sees it.
type Group interface {
	// Members returns everyone known, this peer included.
	Members() []Member
	// Count returns how many members are online, and how many of those are
	// registered: what Maintain asks for at every change.
	Count() (online, registered int)
	// Changed returns a channel that is closed at the next change.
	Changed() <-chan struct{}
	// Announce lets everyone know under which ID this peer is registered; ""
	// that it is not.
	Announce(ctx context.Context, id string) error
}

// View names the part of the cluster that these members are: all that see each
// other come to the same name, whether they ask anyone or not.
func View(members []Member) string {
	view := ""
	for _, m := range members {
		if m.Online && (view == "" || m.Name < view) {
			view = m.Name
		}
	}
	return view
}

const (
	// settle is how long a free place is watched before anybody asks for it:
	// gossip has told everyone by then, so that all come to the same turns.
	settle = time.Second
	// step is how long a spare waits for the one before it: time to ask, and
	// for gossip to tell that it was done.
	step = 3 * time.Second
	// retry is the pause after a service did not answer a renewal.
	retry = 5 * time.Second
	// relist is how old the list may be that a renewal is answered without:
	// it is long where many are on it, and changes seldom. Where the number of
	// peers has changed, the next renewal has all of them.
	relist = 10 * time.Minute
	// minTTL and maxTTL bound what a service says, whatever it is: renewals
	// come neither without a pause nor never.
	minTTL = 3 * time.Second
	maxTTL = 24 * time.Hour
)

// ttlOf returns the time that seconds, as a service gives them, stand for: 0
// for never, and otherwise minTTL to maxTTL.
func ttlOf(seconds int) time.Duration {
	if seconds == 0 {
		return 0
	}
	const lowest, highest = int(minTTL / time.Second), int(maxTTL / time.Second)
	return time.Duration(min(max(seconds, lowest), highest)) * time.Second
}

// Maintain renews this peer's registration while it has one, and asks for a place
// that a gone peer left free when it is this peer's turn, until ctx ends.
//
// Whose turn it is everyone works out alone. Registered peers say so in their
// gossip, hence everyone knows how many places are free. The longest-running
// of the others ask for them, as many as there are places. If gossip does not
// show that they got them, as many spares as the list has places follow, one
// after the other. Nobody else asks, however many there are: one place costs
// one request, and never more than there are places on the list, twice.
func (c *Registrar) Maintain(ctx context.Context, g Group) {
	var s seat
	announced := ""
	for ctx.Err() == nil {
		changed := g.Changed()
		if id := c.id(); id != announced && g.Announce(ctx, id) == nil {
			announced = id
		}
		next := c.act(ctx, g, &s)
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-changed:
		case <-c.answered:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// seat is what Maintain remembers between two looks.
type seat struct {
	free  time.Time // since when places are free; zero if none are
	asked time.Time // when this peer asked for one of them last
	retry time.Time // before which it does not try to renew, after a failure
}

// id returns the ID this peer is registered under, "" if it is not.
func (c *Registrar) id() string {
	if c.Listed() {
		return c.self.ID
	}
	return ""
}

// act does what is due now and returns when to look again at the latest.
func (c *Registrar) act(ctx context.Context, g Group, s *seat) time.Time {
	c.mu.Lock()
	listed, left, renewed, last, whole := c.listed, c.left, c.renewed, c.last, c.whole
	c.mu.Unlock()
	ttl := ttlOf(last.TTL)
	now := time.Now()
	never := now.Add(24 * time.Hour)
	if left {
		return never
	}
	if listed {
		s.free, s.asked = time.Time{}, time.Time{}
		if ttl == 0 {
			return never
		}
		// A third, so that one lost renewal, or two, cost nothing.
		due := renewed.Add(ttl / 3)
		if due.Before(s.retry) {
			due = s.retry
		}
		if now.Before(due) {
			return due
		}
		offer := (*bootstrap.Client).Renew
		if last.Config.NumPeers != len(last.Peers) || now.Sub(whole) >= relist {
			offer = (*bootstrap.Client).Register
		}
		if _, err := c.renew(ctx, g, offer); err != nil {
			pause := min(retry, ttl/6)
			s.retry = now.Add(pause/2 + rand.N(pause))
		}
		return now // to see what came of it
	}
	var members []Member
	var wait time.Duration
	ok := false
	if places(last.Config.MaxPeers, g) > 0 {
		members = g.Members()
		wait, ok = turn(c.self.Name, last.Config.MaxPeers, members)
	}
	if !ok {
		*s = seat{}
		return never
	}
	if s.free.IsZero() {
		s.free = now
	}
	due := s.free.Add(wait)
	if !s.asked.IsZero() {
		// The places are taken by peers this one does not see: nothing
		// changes before one of those expires.
		due = s.asked.Add(max(ttl, time.Minute))
	}
	if now.Before(due) {
		return due
	}
	s.asked = now
	_, _ = c.replace(ctx, View(members), gone(members)) // it logs
	return now
}

// places returns how many places are free.
func places(maxPeers int, g Group) int {
	online, registered := g.Count()
	return min(maxPeers, online) - registered
}

// turn says whether the peer called self is to ask for a free place, and how
// long after the place became free.
func turn(self string, maxPeers int, members []Member) (time.Duration, bool) {
	var candidates []Member
	online := 0
	for _, m := range members {
		if m.Online {
			online++
			if m.ID == "" {
				candidates = append(candidates, m)
			}
		}
	}
	free := min(maxPeers, online) - (online - len(candidates))
	if free <= 0 {
		return 0, false
	}
	slices.SortFunc(candidates, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Started, b.Started), cmp.Compare(a.Name, b.Name))
	})
	rank := slices.IndexFunc(candidates, func(m Member) bool { return m.Name == self })
	if rank < 0 || rank >= free+maxPeers {
		return 0, false
	}
	return settle + time.Duration(max(0, rank-free+1))*step, true
}

// gone returns the IDs of the registered that are offline.
func gone(members []Member) []string {
	var ids []string
	for _, m := range members {
		if !m.Online && m.ID != "" && bootstrap.ValidateID(m.ID) == nil {
			ids = append(ids, m.ID)
		}
	}
	return ids
}
