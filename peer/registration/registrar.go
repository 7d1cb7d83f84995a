// Package registration is the layer that knows whom to contact first: it registers
// this peer with a bootstrap service, renews that, remembers what the service
// said, and takes the place of a registered peer that has gone.
package registration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"peerlab/bootstrap"
	"peerlab/event"
)

// timeout bounds one question to one service.
const timeout = 3 * time.Second

// Options are what New needs; all but ID and Log must be set.
type Options struct {
	Clients []*bootstrap.Client // one or more services, tried in order
	ID      string              // to register under; empty: a new one
	Name    string
	Addr    string // this peer's membership address, IP:PORT
	Started time.Time
	Events  *event.Log
	Log     *slog.Logger // nil logs nothing; New warns of a token that is sent in clear
}

// Registrar is one peer's dealings with its bootstrap services. Methods may be
// called concurrently. Each question takes three seconds a service at the most.
type Registrar struct {
	services []*service
	self     bootstrap.Peer
	events   *event.Log
	log      *slog.Logger
	answered chan struct{} // has an element after an answer that Maintain has not seen

	mu      sync.Mutex
	last    bootstrap.List
	whole   time.Time // when the last answer with all peers came
	heard   bool
	url     string    // of the service that answered last
	listed  bool      // this peer is registered, as far as it knows
	left    bool      // it took itself off the list
	renewed time.Time // when it last said so
	failing string    // the error told last, to tell it once
}

// New returns a registrar that has asked nothing yet.
func New(o Options) (*Registrar, error) {
	host, port, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return nil, fmt.Errorf("address %q to register: %w", o.Addr, err)
	}
	if len(o.Clients) == 0 {
		return nil, errors.New("no bootstrap service to contact")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Registrar{
		events:   o.Events,
		log:      o.Log,
		answered: make(chan struct{}, 1),
		url:      o.Clients[0].URL(),
		self: bootstrap.Peer{
			ID: cmp.Or(o.ID, uuid.NewString()), Name: o.Name, IP: host, Port: port,
			Protocol: "tcp", Status: "0", Timestamp: strconv.FormatInt(o.Started.Unix(), 10),
		},
	}
	for _, client := range o.Clients {
		if client.SendsTokenInClear() {
			c.log.Warn("the bootstrap token is sent without encryption: use https", "url", client.URL())
		}
		c.services = append(c.services, &service{client: client})
	}
	return c, nil
}

// URL returns the URL, without user information, of the service that answered
// last, or else of the first.
func (c *Registrar) URL() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.url
}

// Self returns what this peer registers as.
func (c *Registrar) Self() bootstrap.Peer { return c.self }

// Listed says whether this peer is registered, as far as it knows.
func (c *Registrar) Listed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.listed
}

// offering is Register or Renew of a client.
type offering func(*bootstrap.Client, context.Context, bootstrap.Offer) (bootstrap.List, error)

// question is one request to whichever service answers.
type question func(context.Context, *bootstrap.Client) (bootstrap.List, error)

// ask puts a question to the services in order until one answers, keeps the
// answer, and reports it as an event of the given kind, "" for none.
func (c *Registrar) ask(ctx context.Context, kind event.Kind, q question) (bootstrap.List, error) {
	list, url, err := askInOrder(ctx, c.services, q)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		if c.failing != err.Error() && ctx.Err() == nil {
			c.failing = err.Error()
			c.log.Warn("bootstrap service", "err", err)
			c.events.Emit(event.Event{Kind: event.BootstrapError, URL: c.url, Error: err.Error(), Shell: event.ShellOf(ctx)})
		}
		return bootstrap.List{}, err
	}
	c.failing = ""
	// Any answer tells who is on the list, or that this peer still is.
	c.listed = list.Listed || slices.ContainsFunc(list.Peers, func(p bootstrap.Listed) bool { return p.ID == c.self.ID })
	if list.Peers == nil {
		list.Peers = c.last.Peers
	} else {
		c.whole = time.Now()
	}
	c.last, c.heard, c.url = list, true, url
	if kind != "" {
		c.events.Emit(event.Event{Kind: kind, URL: url, Members: len(list.Peers)})
	}
	select {
	case c.answered <- struct{}{}:
	default:
	}
	return list, nil
}

// Join registers this peer if there is room and returns the service's data. It
// makes no statement about the part of the cluster it is in: it is in none yet.
func (c *Registrar) Join(ctx context.Context) (bootstrap.Data, error) {
	list, err := c.register(ctx, event.BootstrapJoin, "", (*bootstrap.Client).Register)
	return list.Data(), err
}

// register offers this peer by one of the client's methods.
func (c *Registrar) register(ctx context.Context, kind event.Kind, view string, offer offering) (bootstrap.List, error) {
	sent := time.Now()
	list, err := c.ask(ctx, kind, func(ctx context.Context, client *bootstrap.Client) (bootstrap.List, error) {
		return offer(client, ctx, bootstrap.Offer{Peer: c.self, View: view})
	})
	if err == nil {
		c.mu.Lock()
		c.renewed, c.left = sent, false
		c.mu.Unlock()
	}
	return list, err
}

// List returns the service's data.
func (c *Registrar) List(ctx context.Context) (bootstrap.Data, error) {
	list, err := c.ask(ctx, "", func(ctx context.Context, client *bootstrap.Client) (bootstrap.List, error) {
		return client.Peers(ctx)
	})
	return list.Data(), err
}

// Last returns what a service said last, without asking; ok is false if none
// has answered yet.
func (c *Registrar) Last() (data bootstrap.Data, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last.Data(), c.heard
}

// Refill offers this peer to the service: a full list takes it for a younger
// one.
func (c *Registrar) Refill(ctx context.Context) (bootstrap.Data, error) {
	list, err := c.replace(ctx, "", nil)
	return list.Data(), err
}

// replace offers this peer for the place of those it reports gone, by ID; the
// service checks the report.
func (c *Registrar) replace(ctx context.Context, view string, gone []string) (bootstrap.List, error) {
	gone = gone[:min(len(gone), bootstrap.MaxGone)]
	sent := time.Now()
	list, err := c.ask(ctx, event.BootstrapRefill, func(ctx context.Context, client *bootstrap.Client) (bootstrap.List, error) {
		return client.Replace(ctx, bootstrap.Offer{Peer: c.self, View: view, Gone: gone})
	})
	if err == nil {
		c.mu.Lock()
		c.renewed, c.left = sent, false
		c.mu.Unlock()
	}
	return list, err
}

// Reset empties the service's list for everyone.
func (c *Registrar) Reset(ctx context.Context) (bootstrap.Data, error) {
	list, err := c.ask(ctx, "", func(ctx context.Context, client *bootstrap.Client) (bootstrap.List, error) {
		return client.RemoveAll(ctx)
	})
	return list.Data(), err
}

// Leave takes this peer off the list. It stays off, whatever Renew and Maintain do,
// until Join or Refill.
func (c *Registrar) Leave(ctx context.Context) (bootstrap.Data, error) {
	c.mu.Lock()
	c.left = true
	c.mu.Unlock()
	list, err := c.ask(ctx, event.BootstrapLeave, func(ctx context.Context, client *bootstrap.Client) (bootstrap.List, error) {
		return client.Remove(ctx, c.self.ID)
	})
	return list.Data(), err
}

// Renew registers this peer again if it is registered, or if there is room for
// it, and returns the list. If this peer sees nobody of those on a full list,
// it speaks for a part of the cluster that is not heard there, and says so.
func (c *Registrar) Renew(ctx context.Context, g Group) (bootstrap.Data, error) {
	if c.hasLeft() {
		return c.List(ctx)
	}
	list, err := c.renew(ctx, g, (*bootstrap.Client).Register)
	return list.Data(), err
}

// renew is Renew for a peer that has not left, by one of the client's methods.
func (c *Registrar) renew(ctx context.Context, g Group, offer offering) (bootstrap.List, error) {
	view := ""
	was := c.Listed()
	if was {
		view = View(g.Members())
	}
	list, err := c.register(ctx, "", view, offer)
	if err != nil {
		return list, err
	}
	if !list.Listed && c.apart(list, g.Members()) {
		list, err = c.register(ctx, "", View(g.Members()), offer)
	}
	if err == nil && list.Listed && !was {
		c.events.Emit(event.Event{Kind: event.BootstrapJoin, URL: c.URL(), Members: len(list.Peers)})
	}
	return list, err
}

func (c *Registrar) hasLeft() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left
}

// apart says that none of the listed is online for this peer.
func (c *Registrar) apart(list bootstrap.List, members []Member) bool {
	for _, m := range members {
		if m.Online && slices.ContainsFunc(list.Peers, func(p bootstrap.Listed) bool { return p.Addr() == m.Addr }) {
			return false
		}
	}
	return len(list.Peers) > 0
}

// Replace reports every registered peer at the given addresses gone and offers
// this one in their place.
func (c *Registrar) Replace(ctx context.Context, addrs []string) error {
	c.mu.Lock()
	last := c.last
	c.mu.Unlock()
	var gone []string
	for _, p := range last.Peers {
		if p.ID != c.self.ID && slices.Contains(addrs, p.Addr()) {
			gone = append(gone, p.ID)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	_, err := c.replace(ctx, "", gone)
	return err
}

// Addrs returns the addresses of the listed peers but this one, in random
// order, so that not everyone contacts the same one first.
func (c *Registrar) Addrs(data bootstrap.Data) []string {
	var addrs []string
	for _, id := range slices.Sorted(maps.Keys(data.Peers)) {
		p := data.Peers[id]
		// Validate: the service may be another's, and memberlist would look
		// up anything that is no address in the DNS.
		if addr := p.Addr(); id != c.self.ID && addr != c.self.Addr() && p.Validate() == nil && !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	return addrs
}

// Close gives up connections to the services.
func (c *Registrar) Close() {
	for _, s := range c.services {
		s.client.CloseIdle()
	}
}
