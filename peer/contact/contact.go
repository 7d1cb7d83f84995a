// Package contact is the layer that knows whom to contact first: it registers
// this peer with the bootstrap service, remembers what the service said, and
// takes the place of a registered peer that has gone.
package contact

import (
	"context"
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

// timeout bounds one question to the service.
const timeout = 3 * time.Second

// Options are what New needs; all but Log must be set.
type Options struct {
	Client  *bootstrap.Client
	Name    string
	Addr    string // this peer's membership address, IP:PORT
	Started time.Time
	Events  *event.Log
	Log     *slog.Logger // nil logs nothing
}

// Contact is one peer's dealings with the bootstrap service. Methods may be
// called concurrently. Each question takes three seconds at the most.
type Contact struct {
	client *bootstrap.Client
	self   bootstrap.Peer
	events *event.Log
	log    *slog.Logger

	mu      sync.Mutex
	last    bootstrap.Data
	heard   bool
	failing string // the error told last, to tell it once
}

// New returns a contact that has asked nothing yet.
func New(o Options) (*Contact, error) {
	host, port, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return nil, fmt.Errorf("address %q to register: %w", o.Addr, err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Contact{
		client: o.Client,
		events: o.Events,
		log:    o.Log,
		self: bootstrap.Peer{
			ID: uuid.NewString(), Name: o.Name, IP: host, Port: port,
			Protocol: "tcp", Status: "0", Timestamp: strconv.FormatInt(o.Started.Unix(), 10),
		},
	}, nil
}

// URL returns the service's URL without user information.
func (c *Contact) URL() string { return c.client.URL() }

// Self returns what this peer registers as.
func (c *Contact) Self() bootstrap.Peer { return c.self }

// Last returns what the service said last, without asking; ok is false if it
// has not answered yet.
func (c *Contact) Last() (data bootstrap.Data, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last, c.heard
}

// ask runs one question and keeps the answer.
func (c *Contact) ask(ctx context.Context, kind event.Kind, question func(context.Context) (bootstrap.Data, error)) (bootstrap.Data, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	data, err := question(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		if c.failing != err.Error() {
			c.failing = err.Error()
			c.log.Warn("bootstrap service", "err", err)
			c.events.Emit(event.Event{Kind: event.BootstrapError, URL: c.URL(), Error: err.Error()})
		}
		return bootstrap.Data{}, err
	}
	c.failing = ""
	c.last, c.heard = data, true
	if kind != "" {
		c.events.Emit(event.Event{Kind: kind, URL: c.URL(), Members: len(data.Peers)})
	}
	return data, nil
}

// Join registers this peer if there is room and returns the service's data.
func (c *Contact) Join(ctx context.Context) (bootstrap.Data, error) {
	return c.ask(ctx, event.BootstrapJoin, func(ctx context.Context) (bootstrap.Data, error) {
		return c.client.Join(ctx, c.self)
	})
}

// List returns the service's data.
func (c *Contact) List(ctx context.Context) (bootstrap.Data, error) {
	return c.ask(ctx, "", c.client.List)
}

// Refill offers this peer to the service.
func (c *Contact) Refill(ctx context.Context) (bootstrap.Data, error) {
	return c.ask(ctx, event.BootstrapRefill, func(ctx context.Context) (bootstrap.Data, error) {
		return c.client.Refill(ctx, c.self)
	})
}

// Reset empties the service's list for everyone.
func (c *Contact) Reset(ctx context.Context) (bootstrap.Data, error) {
	return c.ask(ctx, "", c.client.Reset)
}

// Leave takes this peer off the list.
func (c *Contact) Leave(ctx context.Context) (bootstrap.Data, error) {
	return c.ask(ctx, event.BootstrapLeave, func(ctx context.Context) (bootstrap.Data, error) {
		return c.client.Leave(ctx, c.self.ID)
	})
}

// Renew asks for the list and registers this peer if there is room for it,
// which there is after the service has lost its memory.
func (c *Contact) Renew(ctx context.Context) (bootstrap.Data, error) {
	data, err := c.List(ctx)
	if err != nil {
		return data, err
	}
	if _, listed := data.Peers[c.self.ID]; !listed && len(data.Peers) < data.Config.MaxPeers {
		return c.Join(ctx)
	}
	return data, nil
}

// Lists says whether the service, as last heard, lists another peer at addr.
func (c *Contact) Lists(addr string) bool {
	data, _ := c.Last()
	return slices.Contains(c.Addrs(data), addr)
}

// Replace removes every registered peer at the given addresses and offers this
// one in their place. It asks for the list first: somebody else may have done
// it already.
func (c *Contact) Replace(ctx context.Context, addrs []string) error {
	data, err := c.List(ctx)
	if err != nil {
		return err
	}
	gone := 0
	for id, p := range data.Peers {
		if id == c.self.ID || !slices.Contains(addrs, p.Addr()) {
			continue
		}
		if _, err := c.ask(ctx, event.BootstrapLeave, func(ctx context.Context) (bootstrap.Data, error) {
			return c.client.Leave(ctx, id)
		}); err != nil {
			return err
		}
		gone++
	}
	if gone == 0 {
		return nil
	}
	_, err = c.Refill(ctx)
	return err
}

// Addrs returns the addresses of the listed peers but this one, in random
// order, so that not everyone contacts the same one first.
func (c *Contact) Addrs(data bootstrap.Data) []string {
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

// Close gives up connections to the service.
func (c *Contact) Close() { c.client.CloseIdle() }
