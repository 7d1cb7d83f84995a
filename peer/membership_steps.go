package peer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/hashicorp/memberlist"

	"peerlab/peer/broadcast"
	"peerlab/peer/membership"
	"peerlab/peer/membership/memberlistconfig"
	"peerlab/peer/registration"
)

// The steps by which a peer comes up from nothing, each a command of its own.
// lifecycle.Lock serializes them: two people at two shells must not create two
// memberships.

// configure makes a new configuration from the peer's profile and settings,
// with more settings on top.
func (p *Peer) configure(settings []string) error {
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	return p.configureLocked(settings)
}

// configureLocked is configure for a caller that holds lifecycle.
func (p *Peer) configureLocked(settings []string) error {
	list, err := memberlistconfig.Configure(p.conf.Profile, append(p.conf.Set[:len(p.conf.Set):len(p.conf.Set)], settings...))
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
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	return p.createLocked(false)
}

// createLocked is create for a caller that holds lifecycle. If started is set,
// broadcasts are gossiped from the beginning.
func (p *Peer) createLocked(started bool) (err error) {
	p.mu.Lock()
	list, was, ctx, bind, advertise := p.list, p.membership, p.ctx, p.bind, p.advertise
	joined, announcement := p.joined, p.announcement
	p.mu.Unlock()
	switch {
	case ctx == nil:
		return errors.New("the peer is not running")
	case was != nil && was.checkUsable() == nil:
		return errors.New("membership is created already: membership leave, shutdown and delete first")
	case was != nil:
		return was.checkUsable()
	case list == nil:
		return errNotConfigured
	}
	meta := membership.Meta{metaStarted: strconv.FormatInt(p.started.Unix(), 10)}
	if joined {
		meta[p.app.Name()] = announcement
	}
	conf := *list // memberlist keeps and changes what it is given
	s := &membershipInstance{started: started}
	var online atomic.Int64 // memberlist asks while it is being created
	values, err := broadcast.New(broadcast.Options{
		Name: p.conf.Name, NumNodes: func() int { return max(int(online.Load()), 1) },
		RetransmitMult: cmp.Or(p.conf.BroadcastRetransmit, conf.RetransmitMult),
		TombstoneTTL:   p.conf.BroadcastTombstones,
		Events:         p.events,
		Log:            p.log.With("layer", "membership"),
	})
	if err != nil {
		return err
	}
	channels := map[byte]membership.Channel{valuesTag: silentMap{values, s}}
	if g, ok := p.app.(Gossiper); ok {
		if c := g.Channel(&conf); c != nil {
			channels[appTag] = c
		}
	}
	var transport memberlist.NodeAwareTransport
	if open := p.conf.Network.Transport; open != nil {
		if transport, err = open(); err != nil {
			return err
		}
	}
	s.values = values
	s.ctx, s.end = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			s.end()
			if transport != nil {
				_ = transport.Shutdown() // or its port stays taken
			}
		}
	}()
	members, err := membership.Create(membership.Options{
		Name: p.conf.Name, Config: &conf, Bind: bind, Advertise: advertise,
		Transport: transport, Meta: meta, MaxMembers: p.conf.MaxMembers,
		QueueWarning: p.conf.QueueWarning,
		Channels:     channels,
		Events:       p.events, Log: p.log.With("layer", "membership"), Mark: metaRegistered, Shared: p.conf.Network.Shared,
		// Whoever sees the first event can use what it tells of.
		Opened: func(m *membership.Membership) error {
			registrar, err := p.configuredRegistrar(m.Addr())
			if err != nil {
				return err
			}
			s.members = m
			s.listening.Store(true)
			p.mu.Lock()
			p.membership, p.registrar = s, registrar
			p.mu.Unlock()
			return nil
		},
	})
	if err != nil {
		return err
	}
	s.tasks.Go(func() { p.follow(s, &online, !started) })
	if p.knownPeers != nil {
		s.tasks.Go(func() { p.remember(s.ctx, members) })
	}
	return nil
}

// configuredRegistrar prepares, where a service is configured, to register addr; nil
// where none is.
func (p *Peer) configuredRegistrar(addr string) (*registration.Registrar, error) {
	if p.conf.Bootstrap == "" {
		return nil, nil
	}
	return p.newRegistrar(addr)
}

func (p *Peer) newRegistrar(addr string) (*registration.Registrar, error) {
	clients, err := p.conf.clients()
	if err != nil {
		return nil, err
	}
	return registration.New(registration.Options{
		Clients: clients, ID: p.id, Name: p.conf.Name, Addr: addr, Started: p.started,
		Events: p.events, Log: p.log.With("layer", "bootstrap"),
	})
}

// errNoService answers a step that needs a bootstrap service.
var errNoService = errors.New("no bootstrap service is configured: start the peer with --bootstrap URL")

// registrarWithAddress returns the registrar that can register this peer.
func (p *Peer) registrarWithAddress() (*registration.Registrar, error) {
	if p.conf.Bootstrap == "" {
		return nil, errNoService
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.registrar == nil {
		return nil, errors.New("there is no address to register yet: membership create first")
	}
	return p.registrar, nil
}

// joinMembers contacts addrs, or whom the bootstrap service listed.
func (p *Peer) joinMembers(ctx context.Context, addrs []string) (int, error) {
	s, err := p.activeInstance()
	if err != nil {
		return 0, err
	}
	if len(addrs) == 0 {
		c, err := p.registrarWithAddress()
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
	if addrs, err = p.resolve(ctx, addrs); err != nil {
		return 0, err
	}
	n, err := s.contact(ctx, addrs)
	if err != nil {
		return 0, err
	}
	p.begin(s)
	return n, nil
}

// resolve replaces hosts by their addresses, where the peer's network does that.
// As memberlist does, it takes HOST:PORT or HOST, with NAME/ in front or without.
func (p *Peer) resolve(ctx context.Context, addrs []string) ([]string, error) {
	lookup := p.conf.Network.Resolve
	if lookup == nil {
		return addrs, nil
	}
	var resolved []string
	for _, addr := range addrs {
		name, where, named := strings.Cut(addr, "/")
		if !named {
			name, where = "", addr
		}
		host, port, err := net.SplitHostPort(where)
		if err != nil {
			host, port = where, ""
		}
		if _, err := netip.ParseAddr(host); err == nil {
			resolved = append(resolved, addr)
			continue
		}
		found, err := lookup(ctx, host)
		if err != nil {
			return nil, fmt.Errorf("join %s: %w", addr, err)
		}
		for _, ip := range found {
			where = ip.String()
			if port != "" {
				where = net.JoinHostPort(where, port)
			}
			if named {
				where = name + "/" + where
			}
			resolved = append(resolved, where)
		}
	}
	return resolved, nil
}

// delete forgets a membership that is shut down.
func (p *Peer) delete() error {
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	s, err := p.currentInstance()
	if err != nil {
		return err
	}
	if s.state() != membershipDown {
		return errors.New("membership is running: membership shutdown first")
	}
	p.forget()
	return nil
}

// shutdown ends a membership without a word to the others, and tells the app that
// nobody is there any more.
func (p *Peer) shutdown(s *membershipInstance) error {
	err := s.shutdown()
	p.updateApp(s)
	return err
}

// forget drops a membership that is shut down. The caller holds lifecycle.
func (p *Peer) forget() {
	p.mu.Lock()
	registrar := p.registrar
	p.membership, p.registrar = nil, nil
	p.mu.Unlock()
	if registrar != nil {
		registrar.Close()
	}
}
