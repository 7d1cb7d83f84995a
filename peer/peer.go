// Package peer is a running peer: three layers — bootstrap (whom to contact),
// membership (who is online), chat (the application) — each usable alone,
// their composition and their lifecycle.
package peer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/bootstrap"
	"peerlab/event"
	"peerlab/peer/chat"
	"peerlab/peer/command"
	"peerlab/peer/contact"
	"peerlab/peer/membership"
)

// Peer is one peer. Methods may be called concurrently.
type Peer struct {
	conf     Config
	log      *slog.Logger
	started  time.Time
	events   *event.Log
	commands command.Registry

	running sync.WaitGroup
	failed  chan error // what ends Run before its time

	mu        sync.Mutex
	ctx       context.Context // of Run; nil before and after
	list      *memberlist.Config
	members   *membership.Membership
	contact   *contact.Contact
	chat      *chat.Chat
	ready     bool
	replacing bool // a replacement of gone bootstrap peers is under way
}

// New checks the configuration and returns a peer that does nothing yet.
func New(conf Config) (*Peer, error) {
	if err := conf.check(); err != nil {
		return nil, err
	}
	p := &Peer{
		conf:    conf,
		log:     conf.Log,
		started: time.Now(),
		events:  event.NewLog(conf.Name, conf.EventsKept),
		failed:  make(chan error, 1),
	}
	if err := p.addCommands(); err != nil {
		return nil, err
	}
	return p, nil
}

// Name returns the peer's name.
func (p *Peer) Name() string { return p.conf.Name }

// Started returns when the peer was made.
func (p *Peer) Started() time.Time { return p.started }

// Events returns the peer's event log. It is closed when Run returns.
func (p *Peer) Events() *event.Log { return p.events }

// Commands returns the registry of what can be typed at this peer. Commands
// added to it are in the shell, in scripts, in peer exec and in the control
// API.
func (p *Peer) Commands() *command.Registry { return &p.commands }

// Ready returns nil once the peer has joined its cluster, or has found that
// it is the first.
func (p *Peer) Ready() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.ctx == nil:
		return errors.New("the peer is not running")
	case p.members == nil:
		return errors.New("membership is not created")
	case !p.ready:
		return errors.New("the peer has not joined a cluster yet")
	}
	return nil
}

// How long each layer may take to leave; together less than the five seconds
// within which a stopped peer is gone.
const (
	chatLeave       = time.Second
	contactLeave    = time.Second
	membershipLeave = 2500 * time.Millisecond
)

// Run starts all layers and returns when ctx ends, after leaving them in
// order, so that the others hold this peer left and not dead. It returns an
// error when a layer cannot start, or when the name turns out to be taken: then
// it goes without a word, for a farewell would be in the other's name. A peer
// runs once.
func (p *Peer) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.mu.Lock()
	p.ctx = ctx
	p.mu.Unlock()
	defer p.events.Close()
	p.events.Emit(event.Event{Kind: event.PeerStarted})
	err := p.init()
	if err == nil {
		p.running.Go(func() { p.join(ctx) })
		select {
		case <-ctx.Done():
		case err = <-p.failed:
		}
	}
	reason := "asked to stop"
	if err != nil {
		reason = err.Error()
	}
	p.events.Emit(event.Event{Kind: event.PeerStopping, Reason: reason})
	cancel()
	p.running.Wait()
	p.leave(err == nil)
	return err
}

// init brings up the layers on this host, contacting nobody.
func (p *Peer) init() error {
	list, err := membership.Configure(p.conf.Profile, p.conf.Set)
	if err != nil {
		return err
	}
	// Listen for the chat first: its address is in the first thing that
	// others hear of this peer.
	listener, err := p.listenChat()
	if err != nil {
		return err
	}
	incarnation := uint64(p.started.UnixMilli())
	members, err := membership.Create(membership.Options{
		Name: p.conf.Name, Config: list, Bind: p.conf.Bind, Advertise: p.conf.Advertise,
		Transport: p.conf.Network.Transport,
		Meta:      membership.Meta{metaChat: chat.Announce(announced(listener.Addr()), incarnation)},
		Events:    p.events, Log: p.log.With("layer", "membership"),
	})
	if err != nil {
		_ = listener.Close()
		return err
	}
	p.mu.Lock()
	p.list, p.members = list, members
	p.chat = chat.Join(chat.Options{
		Name: p.conf.Name, Incarnation: incarnation, Listener: listener, Dial: p.conf.Network.ChatDial,
		Events: p.events, Log: p.log.With("layer", "chat"),
	})
	p.mu.Unlock()
	p.log.Info("started", "addr", members.Addr(), "chat", listener.Addr(), "profile", p.conf.Profile)
	if p.conf.Bootstrap != "" {
		client, err := bootstrap.NewClient(p.conf.Bootstrap, p.conf.Network.HTTP)
		if err != nil {
			return err
		}
		c, err := contact.New(contact.Options{
			Client: client, Name: p.conf.Name, Addr: members.Addr(), Started: p.started,
			Events: p.events, Log: p.log.With("layer", "bootstrap"),
		})
		if err != nil {
			return err
		}
		p.mu.Lock()
		p.contact = c
		p.mu.Unlock()
	}
	p.running.Go(func() { p.follow(p.ctx, members) })
	return nil
}

// leave ends what init brought up, the chat first. Without farewell it only
// shuts down.
func (p *Peer) leave(farewell bool) {
	p.mu.Lock()
	c, contact, members := p.chat, p.contact, p.members
	p.mu.Unlock()
	within := func(d time.Duration, f func(context.Context)) {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		f(ctx)
	}
	if c != nil {
		within(chatLeave, c.Leave)
	}
	if contact != nil {
		within(contactLeave, func(ctx context.Context) { _, _ = contact.Leave(ctx) }) // it logs
		contact.Close()
	}
	if members == nil {
		return
	}
	if farewell {
		within(membershipLeave, func(ctx context.Context) {
			if err := members.Leave(ctx); err != nil {
				p.log.Warn("the others may hold this peer dead instead of left", "err", err)
			}
		})
	}
	if err := members.Shutdown(); err != nil {
		p.log.Warn("shut down membership", "err", err)
	}
	p.mu.Lock()
	p.ctx = nil
	p.mu.Unlock()
}

// fail ends Run with err.
func (p *Peer) fail(err error) {
	select {
	case p.failed <- err:
	default:
	}
}

// layers returns what is up now, nil for what is not.
func (p *Peer) layers() (*membership.Membership, *contact.Contact, *chat.Chat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.members, p.contact, p.chat
}
