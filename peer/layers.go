package peer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/hashicorp/memberlist"

	"peerlab/event"
	"peerlab/peer/commands"
	"peerlab/peer/membership"
	"peerlab/peer/registration"
)

// addCommands fills the registry.
func (p *Peer) addCommands() (err error) {
	conf := &p.conf
	target := commands.Peer{
		Name: conf.Name, Version: conf.Version, Profile: conf.Profile, Started: p.started, Rejoin: conf.Rejoin,
		Registry: &p.commands, Events: p.events, Log: conf.Log, Files: conf.Files,
		AllowShell: conf.AllowShell, SecretVariables: []string{BootstrapTokenVariable},
		Layers: layers{p},
	}
	if p.app != nil {
		target.App = commands.App{Name: p.app.Name(), Commands: p.app.Commands()}
	}
	if app, ok := p.app.(Describer); ok {
		target.App.Describe = app.Describe
	}
	if app, ok := p.app.(Conversation); ok {
		target.App.ShowEvent, target.App.LineCommand = app.ShowEvent, app.LineCommand()
	}
	if app, ok := p.app.(SecretTaker); ok {
		target.App.HasSecrets = true
		target.SecretVariables = append(target.SecretVariables, slices.Sorted(maps.Keys(app.Secrets()))...)
	}
	p.builtins, err = commands.Add(target)
	return err
}

// layers is the peer as its commands see it.
type layers struct{ p *Peer }

var _ commands.Layers = layers{}

func (l layers) instance(s *membershipInstance, err error) (commands.Instance, error) {
	if s == nil {
		return commands.Instance{}, err
	}
	return commands.Instance{
		Members: s.members, Values: s.values, Gossiping: s.broadcasting(),
		Down: s.state() == membershipDown, Unusable: s.checkUsable(), UpToDate: s.lastInstant(),
	}, err
}

func (l layers) Created() (commands.Instance, error) { return l.instance(l.p.currentInstance()) }

func (l layers) Running() (commands.Instance, error) { return l.instance(l.p.activeInstance()) }

func (l layers) State() string {
	l.p.mu.Lock()
	s := l.p.membership
	l.p.mu.Unlock()
	return string(s.state())
}

func (l layers) InCluster() error { return l.p.inCluster() }

func (l layers) AppJoined() bool {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.p.joined
}

func (l layers) Configure(settings []string, port int) error {
	if err := l.p.configure(settings); err != nil || port < 0 {
		return err
	}
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	if host, _, err := net.SplitHostPort(l.p.bind); err == nil {
		l.p.bind = net.JoinHostPort(host, strconv.Itoa(port))
	}
	return nil
}

// errNotConfigured answers a step that needs a configuration.
var errNotConfigured = errors.New("nothing is configured: membership configure first")

func (l layers) Configuration() (*memberlist.Config, error) {
	p := l.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.membership != nil {
		return p.membership.members.Config(), nil
	}
	if p.list == nil {
		return nil, errNotConfigured
	}
	conf := *p.list
	conf.Name = p.conf.Name
	host, port, err := net.SplitHostPort(p.bind)
	if err == nil {
		conf.BindAddr = host
		conf.BindPort, _ = strconv.Atoi(port)
	}
	conf.AdvertiseAddr, conf.AdvertisePort = p.advertise, 0
	if host, port, err := net.SplitHostPort(p.advertise); err == nil {
		conf.AdvertiseAddr = host
		conf.AdvertisePort, _ = strconv.Atoi(port)
	}
	return &conf, nil
}

func (l layers) ChangeConfiguration(change func(*memberlist.Config) error) (exists bool, err error) {
	p := l.p
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.list == nil {
		return false, errNotConfigured
	}
	conf := *p.list
	if err := change(&conf); err != nil {
		return false, err
	}
	p.list = &conf
	return p.membership != nil, nil
}

func (l layers) ReplaceConfiguration(conf *memberlist.Config) error {
	p := l.p
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if conf.BindAddr != "" && conf.BindPort >= 0 {
		bind := net.JoinHostPort(conf.BindAddr, strconv.Itoa(conf.BindPort))
		if err := membership.CheckAddr("membership", bind); err != nil {
			return err
		}
		p.bind = bind
	}
	p.advertise = conf.AdvertiseAddr
	if conf.AdvertiseAddr != "" && conf.AdvertisePort > 0 {
		p.advertise = net.JoinHostPort(conf.AdvertiseAddr, strconv.Itoa(conf.AdvertisePort))
	}
	p.list = conf
	return nil
}

func (l layers) Create() error { return l.p.create() }

func (l layers) Start() error {
	s, err := l.p.activeInstance()
	if err != nil {
		return err
	}
	s.begin()
	return nil
}

func (l layers) Join(ctx context.Context, addrs []string) (int, error) {
	return l.p.joinMembers(ctx, addrs)
}

func (l layers) Shutdown() (already bool, err error) {
	p := l.p
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	s, err := p.currentInstance()
	if err != nil {
		return false, err
	}
	if s.state() == membershipDown {
		return true, nil
	}
	err = p.shutdown(s)
	p.events.Emit(event.Event{Kind: event.MemberReap, Member: p.conf.Name, Reason: event.MembershipEnded})
	return false, err
}

func (l layers) ShutdownTransport() error {
	s, err := l.p.activeInstance()
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.noNetwork = true
	s.mu.Unlock()
	return s.members.Config().Transport.Shutdown()
}

func (l layers) Delete() error { return l.p.delete() }

func (l layers) Init(ctx context.Context, report func(string, ...any)) error {
	p := l.p
	joined := func() bool { return p.app == nil || l.AppJoined() }
	if p.inCluster() == nil && joined() {
		report("everything is up\n")
		return nil
	}
	switch state := membershipState(l.State()); state {
	case membershipNone, membershipUp:
	case membershipLeft:
		report("this peer has left: a new membership takes the place of the old\n")
	default:
		report("membership is %s: a new one takes its place\n", state)
	}
	if err := p.bringUp(); err != nil {
		return err
	}
	s, err := p.activeInstance()
	if err != nil {
		return err
	}
	s.begin()
	if s.inCluster() != nil {
		if err := p.join(ctx, s); err != nil {
			return fmt.Errorf("join a cluster: %w", err)
		}
	}
	if !joined() {
		if err := p.joinApp(ctx); err != nil {
			return err
		}
	}
	report("up at %s, %d online\n", s.members.Addr(), s.members.Online())
	return nil
}

func (l layers) Stop(reason string, leave bool) {
	scope := leaveNobody
	if leave {
		scope = leaveAll
	}
	l.p.stop(ending{reason: reason, leave: scope})
}

func (l layers) JoinApp(ctx context.Context) error { return l.p.joinApp(ctx) }

func (l layers) LeaveApp(ctx context.Context, announce bool) error {
	return l.p.leaveApp(ctx, announce)
}

func (l layers) Registrar() *registration.Registrar { return l.p.currentRegistrar() }

func (l layers) RegistrarForQueries() (*registration.Registrar, error) {
	if l.p.conf.Bootstrap == "" {
		return nil, errNoService
	}
	if r := l.p.currentRegistrar(); r != nil {
		return r, nil
	}
	return l.p.newRegistrar("0.0.0.0:0")
}

func (l layers) RegistrarWithAddress() (*registration.Registrar, error) {
	return l.p.registrarWithAddress()
}
