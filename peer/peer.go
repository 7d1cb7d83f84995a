// Package peer is a running peer: three layers — bootstrap (whom to contact),
// membership (who is online), and an application if it has one, such as a
// chat — each
// usable alone, their composition and their lifecycle.
package peer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/memberlist"

	"peerlab/event"
	"peerlab/peer/command"
	"peerlab/peer/commands"
	"peerlab/peer/knownpeers"
	"peerlab/peer/registration"
)

// Peer is one peer. Methods may be called concurrently.
type Peer struct {
	conf     Config
	id       string // under which it registers, whatever membership it has
	app      App
	log      *slog.Logger
	started  time.Time
	events   *event.Log
	commands command.Registry
	begun    chan struct{} // closed when Run has brought up what it does by itself
	ending   chan ending
	builtins *commands.Builtins

	knownPeers *knownpeers.File  // nil without a state directory
	remembered []knownpeers.Peer // from an earlier run

	// lifecycle serializes what brings layers up and down; it is taken before mu.
	lifecycle waitableMutex
	// appCalls serializes the calls of the app; it is taken after lifecycle.
	appCalls waitableMutex

	mu           sync.Mutex
	ctx          context.Context         // of Run; nil before and after
	list         *memberlist.Config      // for the next create
	bind         string                  // for the next create
	advertise    string                  // for the next create
	membership   *membershipInstance     // nil before create and after delete
	registrar    *registration.Registrar // nil where membership is, or without a service
	joined       bool                    // the app
	announcement string                  // of the app, while joined
}

// ending is how Run is to end before its context does.
type ending struct {
	err    error
	reason string
	leave  leaveScope
}

// leaveScope is who is told that this peer leaves.
type leaveScope int

const (
	leaveNobody  leaveScope = iota // as if killed
	leaveService                   // the bootstrap service only
	leaveAll
)

// New checks the configuration and returns a peer that does nothing yet.
func New(conf Config) (*Peer, error) {
	if err := conf.check(); err != nil {
		return nil, err
	}
	p := &Peer{
		conf:      conf,
		id:        uuid.NewString(),
		app:       conf.App,
		log:       conf.Log.Logger().With("peer", conf.Name),
		started:   time.Now(),
		events:    event.NewLog(conf.Name, conf.EventsKept),
		begun:     make(chan struct{}),
		ending:    make(chan ending, 1),
		lifecycle: make(waitableMutex, 1),
		appCalls:  make(waitableMutex, 1),
		bind:      conf.Bind,
		advertise: conf.Advertise,
	}
	p.events.Observe(conf.Observe)
	if conf.State != "" {
		f, err := knownpeers.Open(conf.Files, conf.State)
		if err != nil {
			return nil, err
		}
		p.knownPeers = f
		if p.remembered, err = f.Load(); err != nil {
			p.log.Warn("starting without what was remembered", "err", err)
		}
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

// Begun returns a channel that is closed when Run has brought up on this host what
// it does by itself, contacting nobody, or has failed to.
func (p *Peer) Begun() <-chan struct{} { return p.begun }

// Ready returns nil once the peer is a member of a cluster, or has found that it
// is the first, until it leaves; a bare peer is ready while it runs, until it is
// created.
func (p *Peer) Ready() error {
	p.mu.Lock()
	waits := p.ctx != nil && p.conf.Bare && p.membership == nil
	p.mu.Unlock()
	if waits {
		return nil
	}
	return p.inCluster()
}

// inCluster returns nil while this peer is a member of a cluster, or the first of
// one.
func (p *Peer) inCluster() error {
	p.mu.Lock()
	ctx, s := p.ctx, p.membership
	p.mu.Unlock()
	if ctx == nil {
		return errors.New("the peer is not running")
	}
	return s.inCluster()
}

// How long each layer may take to leave; together less than the five seconds
// within which a stopped peer is gone.
const (
	appLeave          = time.Second
	registrationLeave = time.Second
	membershipLeave   = 2500 * time.Millisecond
)

// Run starts all layers, or with Config.Bare none, and returns when ctx ends,
// after leaving them in order, so that the others hold this peer left and not
// dead. It returns an error when a layer cannot start, or when the name turns
// out to be taken: then it goes without a word, for a farewell would be in the
// other's name. A peer runs once.
func (p *Peer) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.mu.Lock()
	p.ctx = ctx
	p.mu.Unlock()
	defer p.events.Close()
	defer func() {
		if p.conf.Log.File() != "" {
			_ = p.conf.Log.Off()
		}
	}()
	p.events.Emit(event.Event{Kind: event.PeerStarted})

	var publishing sync.WaitGroup
	publishing.Go(func() { p.builtins.PublishTest(ctx) })
	defer publishing.Wait()
	defer cancel()

	end := ending{reason: "asked to stop", leave: leaveAll}
	err := p.start()
	close(p.begun)
	if err != nil {
		end = ending{err: err, reason: err.Error()}
	} else {
		select {
		case <-ctx.Done():
		case end = <-p.ending:
		}
	}
	p.events.Emit(event.Event{Kind: event.PeerStopping, Reason: end.reason})
	p.leave(end.leave)
	return end.err
}

// Online returns how many members this peer holds online, itself included; 0 if
// membership is not created. It may be called concurrently.
func (p *Peer) Online() int {
	s, err := p.currentInstance()
	if err != nil || s.state() == membershipDown {
		return 0
	}
	return s.members.Online()
}

// Abort makes Run return at once, telling nobody: the others find this peer
// dead.
func (p *Peer) Abort() { p.stop(ending{reason: "aborted", leave: leaveNobody}) }

// waitableMutex is a lock that is held while its holder waits. A sync.Mutex would do, but
// in a simulation time stands still while somebody waits for one.
type waitableMutex chan struct{}

func (m waitableMutex) Lock()   { m <- struct{}{} }
func (m waitableMutex) Unlock() { <-m }

// start is what Run does of itself.
func (p *Peer) start() error {
	if p.conf.Bare {
		p.log.Info("started bare: the layers wait for their commands")
		return nil
	}
	if err := p.bringUp(); err != nil {
		return err
	}
	s, err := p.activeInstance()
	if err != nil {
		return err
	}
	s.tasks.Go(func() {
		if err := p.join(s.ctx, s); err != nil && s.ctx.Err() == nil {
			p.stop(ending{err: err, reason: err.Error(), leave: leaveService})
		}
	})
	return nil
}

// bringUp brings the layers up on this host, as far as they are not, contacting
// nobody: a membership that cannot go on is replaced by a new one. Where
// membership cannot be created, it leaves no app behind that it has opened.
func (p *Peer) bringUp() error {
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	p.mu.Lock()
	list, instance, joined := p.list, p.membership, p.joined
	p.mu.Unlock()
	switch instance.state() {
	case membershipNone:
	case membershipUp:
		return nil
	default:
		if err := p.shutdown(instance); err != nil {
			p.log.Warn("shut down membership", "err", err)
		}
		p.forget()
	}
	if list == nil {
		if err := p.configureLocked(nil); err != nil {
			return err
		}
	}
	// The app first: its address is in the first thing others hear of this peer.
	opens := p.app != nil && !joined && !p.conf.NoApp
	if opens {
		if _, err := p.openApp(); err != nil {
			return err
		}
	}
	if err := p.createLocked(true); err != nil {
		if opens {
			p.abandonApp()
		}
		return err
	}
	s, err := p.activeInstance()
	if err != nil {
		return err
	}
	p.log.Info("started", "addr", s.members.Addr(), "profile", p.conf.Profile)
	return nil
}

// stop makes Run end.
func (p *Peer) stop(e ending) {
	select {
	case p.ending <- e:
	default: // it ends already
	}
}

// leave ends every layer that is up, the application first.
func (p *Peer) leave(scope leaveScope) {
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	p.mu.Lock()
	s, registrar, joined := p.membership, p.registrar, p.joined
	p.ctx = nil
	p.mu.Unlock()
	within := func(d time.Duration, f func(context.Context)) {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		f(ctx)
	}
	if joined {
		grace := appLeave
		if scope == leaveNobody {
			grace = 0
		}
		within(grace, p.closeApp)
	}
	if registrar != nil {
		if scope != leaveNobody {
			within(registrationLeave, func(ctx context.Context) { _, _ = registrar.Leave(ctx) }) // it logs
		}
		registrar.Close()
	}
	if s == nil {
		return
	}
	if scope == leaveAll && s.state() == membershipUp {
		within(membershipLeave, func(ctx context.Context) {
			if err := s.members.Leave(ctx); err != nil {
				p.log.Warn("the others may hold this peer dead instead of left", "err", err)
			}
		})
	}
	if err := s.shutdown(); err != nil {
		p.log.Warn("shut down membership", "err", err)
	}
}
