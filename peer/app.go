package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/spf13/pflag"

	"peerlab/event"
	"peerlab/peer/command"
	"peerlab/peer/files"
	"peerlab/peer/membership"
)

// App is the application layer of a peer: what runs on top of membership, such
// as the chat of peer/chat/app. An App belongs to one peer. This is all that an
// application must have; FlagAdder, SecretTaker, Preparer, Gossiper, Describer
// and Conversation are what it can have besides.
//
// The peer calls Join, Update and Leave one at a time. Commands run at
// any time, concurrently with everything.
type App interface {
	// Name is the key of the node metadata under which the app is announced,
	// the first word of its commands join, leave and stop, and the end of the
	// flag --no-NAME: one word of lower-case letters.
	Name() string
	// Commands are added to the registry when the peer is made. They answer
	// with ErrNotJoined outside Join and Leave.
	Commands() []command.Command
	// Join gets ready on this host, contacting nobody, and returns what the
	// others have to know to reach it. They are told when it returns.
	Join(n Node) (announce string, err error)
	// Update tells the app, joined, everyone in the member table, this peer
	// included; nobody, once this peer has left membership or shut it down. It
	// must not block. Members that run the app have its announcement in their
	// metadata.
	Update(members []membership.Member)
	// Leave ends what Join began, finishing what is under way as far as ctx
	// allows. The others know already, unless the app is being stopped.
	Leave(ctx context.Context)
}

// FlagAdder is an App with flags of its own.
type FlagAdder interface {
	App
	// AddFlags defines them, with names that begin with the app's, and sets the
	// app to their defaults. Each is also an environment variable, and a setting
	// of Config.Configure.
	AddFlags(*pflag.FlagSet)
}

// SecretTaker is an App with secrets: everybody can read the value of a flag.
type SecretTaker interface {
	App
	// Secrets returns where the peer program puts the values of environment
	// variables, by their names, before the peer is made. A program that the
	// shell command runs does not inherit these variables.
	Secrets() map[string]*string
}

// Preparer is an App that checks its configuration when the peer is made.
type Preparer interface {
	App
	// Prepare says what is wrong with the configuration. It contacts nobody and
	// opens nothing that has to be closed: the peer may never run.
	Prepare(files.System) error
}

// Describer is an App with a column in the tables of members.
type Describer interface {
	App
	// Describe returns what the column, which has the app's name, shows for a
	// member; empty for nothing.
	Describe(membership.Member) string
}

// Conversation is an App in which people say lines to each other. The variable
// NAMEmode makes a peer say every line that begins with no command, and the
// testfilter commands count the lines that were said.
type Conversation interface {
	App
	// LineCommand returns the words with which a command begins that says what
	// follows them.
	LineCommand() []string
	// ShowEvent returns how the conversation shows an event, empty for one that
	// is not part of it.
	ShowEvent(event.Event) string
}

// Gossiper is an App that sends along with membership's gossip.
type Gossiper interface {
	App
	// Channel returns its channel, nil for none. It is asked whenever
	// membership is created, with the configuration of that, possibly before
	// Join.
	Channel(*memberlist.Config) membership.Channel
}

// Node is what a peer hands to its app.
type Node struct {
	Name    string
	Events  *event.Log
	Log     *slog.Logger
	Network Network      // Config.Network; Listen and Dial are set
	State   string       // Config.State
	Files   files.System // Config.Files
	// Incarnation is larger than that of any earlier Join under this name, as
	// far as the clock goes.
	Incarnation uint64
	// Announce changes what Join returned, and tells the others. It must not
	// be called from Join, Update or Leave.
	Announce func(ctx context.Context, text string) error
}

// ErrNotJoined answers a command of an app that this peer has not joined.
var ErrNotJoined = errors.New("not joined")

// appName returns the name of an app, empty for none.
func appName(app App) string {
	if app == nil {
		return ""
	}
	return app.Name()
}

// checkAppName says why an app cannot have a name: the peer makes commands and a
// flag of it, and has keys of its own in the metadata.
func checkAppName(name string) error {
	plain := name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz") == ""
	if !plain || name == metaRegistered || name == metaStarted {
		return fmt.Errorf("application name %q: use one word of lower-case letters, not %s or %s", name, metaRegistered, metaStarted)
	}
	return nil
}

// node returns what an app gets when it joins now.
func (p *Peer) node() Node {
	return Node{
		Name: p.conf.Name, Events: p.events, Log: p.log.With("layer", p.app.Name()),
		Network: p.conf.Network, State: p.conf.State, Files: p.conf.Files, Incarnation: uint64(time.Now().UnixMilli()),
		Announce: func(ctx context.Context, text string) error {
			s, err := p.activeInstance()
			if err != nil {
				return err
			}
			_, err = p.announce(ctx, s, text)
			p.updateApp(s) // so that the caller finds it done
			return err
		},
	}
}

// joinApp enters the app and tells the others.
func (p *Peer) joinApp(ctx context.Context) error {
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	s, err := p.activeInstance()
	if err != nil {
		return err
	}
	p.mu.Lock()
	joined := p.joined
	p.mu.Unlock()
	if joined {
		return errors.New("joined already: " + p.app.Name() + " leave or " + p.app.Name() + " stop first")
	}
	text, err := p.openApp()
	if err != nil {
		return err
	}
	p.updateApp(s)
	announced, err := p.announce(ctx, s, text)
	if !announced {
		p.abandonApp()
	}
	return err
}

// announce tells the others what the app announces. It reports whether the
// metadata has it: then the others hear of it even after an error.
func (p *Peer) announce(ctx context.Context, s *membershipInstance, text string) (announced bool, err error) {
	err = s.members.SetMeta(ctx, func(m membership.Meta) { m[p.app.Name()] = text })
	announced = s.members.Meta()[p.app.Name()] == text
	if announced {
		p.mu.Lock()
		p.announcement = text
		p.mu.Unlock()
	}
	return announced, err
}

// abandonApp closes an app that nobody has heard of yet, without waiting.
func (p *Peer) abandonApp() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.closeApp(ctx)
}

// leaveApp leaves the app, telling the others first if announce is set.
func (p *Peer) leaveApp(ctx context.Context, announce bool) error {
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	p.mu.Lock()
	joined, s := p.joined, p.membership
	p.mu.Unlock()
	if !joined {
		return fmt.Errorf("this peer is not in the %s (%w): %s join first", p.app.Name(), ErrNotJoined, p.app.Name())
	}
	var err error
	if announce && s != nil && s.checkUsable() == nil {
		err = s.members.SetMeta(ctx, func(m membership.Meta) { delete(m, p.app.Name()) })
	}
	p.closeApp(ctx)
	return err
}

// openApp and closeApp bracket the time in which the app is joined.
func (p *Peer) openApp() (announce string, err error) {
	p.appCalls.Lock()
	defer p.appCalls.Unlock()
	announce, err = p.app.Join(p.node())
	if err == nil {
		p.mu.Lock()
		p.joined, p.announcement = true, announce
		p.mu.Unlock()
		p.log.Info("joined the " + p.app.Name())
	}
	return announce, err
}

func (p *Peer) closeApp(ctx context.Context) {
	p.appCalls.Lock()
	defer p.appCalls.Unlock()
	p.mu.Lock()
	p.joined, p.announcement = false, ""
	p.mu.Unlock()
	p.app.Leave(ctx)
	p.log.Info("left the " + p.app.Name())
}

// updateApp tells the app who is there.
func (p *Peer) updateApp(s *membershipInstance) {
	p.appCalls.Lock()
	defer p.appCalls.Unlock()
	p.mu.Lock()
	joined := p.joined
	p.mu.Unlock()
	if !joined {
		return
	}
	var members []membership.Member
	if s.checkUsable() == nil {
		members = s.members.Members()
	}
	p.app.Update(members)
}
