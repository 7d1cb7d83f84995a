package peer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/hashicorp/memberlist"

	"peerlab/peer/broadcast"
	"peerlab/peer/contact"
	"peerlab/peer/membership"
)

// The steps by which a peer comes up from nothing, each a command of its own.
// step.Lock serialises them: two people at two shells must not create two
// memberships.

// configure makes a new configuration from the peer's profile and settings,
// with more settings on top.
func (p *Peer) configure(settings []string) error {
	p.step.Lock()
	defer p.step.Unlock()
	return p.configureLocked(settings)
}

// configureLocked is configure for a caller that holds step.
func (p *Peer) configureLocked(settings []string) error {
	list, err := membership.Configure(p.conf.Profile, append(p.conf.Set[:len(p.conf.Set):len(p.conf.Set)], settings...))
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = list
	return nil
}

// create starts a membership of one from the configuration. The announcement of
// an app that has joined before is in the metadata from the start.
func (p *Peer) create() error {
	p.step.Lock()
	defer p.step.Unlock()
	return p.createLocked()
}

// createLocked is create for a caller that holds step.
func (p *Peer) createLocked() error {
	p.mu.Lock()
	list, was, ctx, bind, advertise := p.list, p.life, p.ctx, p.bind, p.advertise
	joined, announcement := p.joined, p.announcement
	p.mu.Unlock()
	switch {
	case ctx == nil:
		return errors.New("the peer is not running")
	case was != nil && was.up() == nil:
		return errors.New("membership is created already: membership leave, shutdown and delete first")
	case was != nil:
		return was.up()
	case list == nil:
		return errors.New("nothing is configured: membership configure first")
	}
	meta := membership.Meta{metaStarted: strconv.FormatInt(p.started.Unix(), 10)}
	if joined {
		meta[p.app.Name()] = announcement
	}
	conf := *list // memberlist keeps and changes what it is given
	s := &life{}
	var online atomic.Int64 // memberlist asks while it is being created
	values, err := broadcast.New(broadcast.Options{
		Name: p.conf.Name, NumNodes: func() int { return max(int(online.Load()), 1) },
		// With the local profile's 2 every thirtieth rumour would miss a member
		// of four, who then waits for the next push/pull.
		RetransmitMult: max(conf.RetransmitMult, 4),
		Log:            p.log.With("layer", "membership"),
	})
	if err != nil {
		return err
	}
	channels := map[byte]membership.Channel{valuesTag: gossiped{values, s}}
	if g, ok := p.app.(Gossiper); ok && g.Channel() != nil {
		channels[appTag] = g.Channel()
	}
	var transport memberlist.NodeAwareTransport
	if open := p.conf.Network.Transport; open != nil {
		if transport, err = open(); err != nil {
			return err
		}
	}
	members, err := membership.Create(membership.Options{
		Name: p.conf.Name, Config: &conf, Bind: bind, Advertise: advertise,
		Transport: transport, Meta: meta, MaxMembers: p.conf.MaxMembers,
		QueueWarning: p.conf.QueueWarning,
		Channels:     channels,
		Events:       p.events, Log: p.log.With("layer", "membership"), Mark: metaRegistered, Shared: p.conf.Network.Shared,
	})
	if err != nil {
		return err
	}
	s.members, s.values = members, values
	s.ctx, s.end = context.WithCancel(ctx)
	if err := p.makeContact(members.Addr()); err != nil {
		_ = s.shutdown()
		return err
	}
	p.mu.Lock()
	p.life, p.ready = s, false
	p.mu.Unlock()
	s.tasks.Go(func() { p.follow(s, &online) })
	if p.former != nil {
		s.tasks.Go(func() { p.remember(s.ctx, members) })
	}
	return nil
}

// makeContact prepares, where a service is configured, to register addr.
func (p *Peer) makeContact(addr string) error {
	if p.conf.Bootstrap == "" {
		return nil
	}
	c, err := p.newContact(addr)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.contact = c
	p.mu.Unlock()
	return nil
}

func (p *Peer) newContact(addr string) (*contact.Contact, error) {
	clients, err := p.conf.clients()
	if err != nil {
		return nil, err
	}
	return contact.New(contact.Options{
		Clients: clients, Name: p.conf.Name, Addr: addr, Started: p.started,
		Events: p.events, Log: p.log.With("layer", "bootstrap"),
	})
}

// errNoService answers a step that needs a bootstrap service.
var errNoService = errors.New("no bootstrap service is configured: start the peer with --bootstrap URL")

// registrar returns the contact that can register this peer.
func (p *Peer) registrar() (*contact.Contact, error) {
	if p.conf.Bootstrap == "" {
		return nil, errNoService
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.contact == nil {
		return nil, errors.New("there is no address to register yet: membership create first")
	}
	return p.contact, nil
}

// joinMembers contacts addrs, or whom the bootstrap service listed.
func (p *Peer) joinMembers(ctx context.Context, addrs []string) (int, error) {
	s, err := p.running()
	if err != nil {
		return 0, err
	}
	if len(addrs) == 0 {
		c, err := p.registrar()
		if err != nil {
			return 0, fmt.Errorf("whom to join? Give addresses, or: %w", err)
		}
		data, heard := c.Last()
		if !heard {
			return 0, errors.New("whom to join? Give addresses, or bootstrap join first")
		}
		if addrs = c.Addrs(data); len(addrs) == 0 {
			p.begin(s)
			return 0, nil
		}
	}
	n, err := s.contact(ctx, addrs)
	if err != nil {
		return 0, err
	}
	p.begin(s)
	return n, nil
}

// delete forgets a membership that is shut down.
func (p *Peer) delete() error {
	p.step.Lock()
	defer p.step.Unlock()
	s, err := p.created()
	if err != nil {
		return err
	}
	s.mu.Lock()
	down := s.down
	s.mu.Unlock()
	if !down {
		return errors.New("membership is running: membership shutdown first")
	}
	p.mu.Lock()
	p.life, p.contact, p.ready = nil, nil, false
	p.mu.Unlock()
	return nil
}
