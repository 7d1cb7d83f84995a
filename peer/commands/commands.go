// Package commands has the commands that every peer understands, a file for
// each group of help; "membership" has members.go, config.go and steps.go, and
// "development" is in steps.go.
//
// It reads a command's arguments, and prints what comes of it. What a command
// does to the layers of a peer is behind [Layers], which package peer
// implements. The registry of commands, and the parsing of a line, are in
// peer/command; an application's own commands are the application's.
//
// To add a command, add it to the function of its group, such as keyCommands.
package commands

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/event"
	"peerlab/peer/broadcast"
	"peerlab/peer/command"
	"peerlab/peer/files"
	"peerlab/peer/logging"
	"peerlab/peer/membership"
	"peerlab/peer/registration"
)

// Peer is what the commands know of a peer, and do with it.
type Peer struct {
	Name, Version, Profile string
	Started                time.Time
	Rejoin                 time.Duration
	Registry               *command.Registry
	Events                 *event.Log
	Log                    *logging.Log
	Files                  files.System
	AllowShell             bool     // for the shell command
	SecretVariables        []string // of the environment, kept from the shell command
	App                    App
	Layers                 Layers
}

// App is what the commands know of a peer's application. Without a name, there
// is none.
type App struct {
	Name     string
	Commands []command.Command
	// Describe fills a column in tables of members; nil means no column.
	Describe func(membership.Member) string
	// ShowEvent returns the line of the conversation that an event is, empty for
	// none; nil means that the application is no conversation.
	ShowEvent func(event.Event) string
	// LineCommand are the first words of the command that says a line.
	LineCommand []string
	// HasSecrets says that SecretVariables has some of the application.
	HasSecrets bool
}

// Layers brings the layers of a peer up and down, step by step. Methods may be
// called concurrently.
type Layers interface {
	// Created returns the membership as it is, also one that is shut down.
	Created() (Instance, error)
	// Running returns the membership if it can still act.
	Running() (Instance, error)
	// State says what the membership layer is, in the words of info.
	State() string
	// InCluster returns nil while the peer is a member of a cluster, or the first
	// of one.
	InCluster() error
	// AppJoined reports whether the application is joined.
	AppJoined() bool

	// Configure makes a configuration for the next Create from the profile and
	// settings; a port that is not negative is the one to bind.
	Configure(settings []string, port int) error
	// Configuration returns the configuration in use, or else the next one.
	Configuration() (*memberlist.Config, error)
	// ChangeConfiguration changes the next configuration. It reports whether a
	// membership exists, which keeps its own.
	ChangeConfiguration(change func(*memberlist.Config) error) (exists bool, err error)
	// ReplaceConfiguration makes conf, with its addresses, the next one.
	ReplaceConfiguration(conf *memberlist.Config) error

	Create() error
	Start() error // to gossip broadcasts
	Join(ctx context.Context, addrs []string) (answered int, err error)
	// Shutdown reports whether the membership was shut down before.
	Shutdown() (already bool, err error)
	ShutdownTransport() error
	Delete() error

	// Init brings up all layers that are not up, and reports what it does.
	Init(ctx context.Context, report func(format string, args ...any)) error
	// Stop ends the peer, which leaves every layer in order if leave is set.
	Stop(reason string, leave bool)

	JoinApp(ctx context.Context) error
	// LeaveApp tells the others first if announce is set.
	LeaveApp(ctx context.Context, announce bool) error

	// Registrar returns the registrar in use, nil if there is none.
	Registrar() *registration.Registrar
	// RegistrarForQueries returns one that can at least ask the bootstrap service.
	RegistrarForQueries() (*registration.Registrar, error)
	// RegistrarWithAddress returns one that can register this peer.
	RegistrarWithAddress() (*registration.Registrar, error)
}

// Instance is a membership as it is at one moment.
type Instance struct {
	Members   *membership.Membership
	Values    *broadcast.Map
	Gossiping bool      // of broadcasts
	Down      bool      // shut down
	Unusable  error     // why it cannot act any more
	UpToDate  time.Time // now, or when it was shut down
}

// Builtins are the commands of one peer, and the multi-peer test that they
// record.
type Builtins struct {
	peer Peer
	test multiPeerTest
}

// Add adds the commands to the registry of p, group by group in the order of
// help.
func Add(p Peer) (*Builtins, error) {
	b := &Builtins{peer: p}
	b.test.changed = make(chan struct{}, 1)
	b.test.reset("test", 0)
	b.test.begun = false
	registry := p.Registry
	registry.Otherwise = b.chatLineOf
	registry.Typed = b.typedLineOf
	registry.After = b.recordCommand
	return b, errors.Join(
		registry.Add(b.membershipCommands()...),
		registry.Add(b.infoCommands()...),
		registry.Add(b.stepCommands()...),
		registry.Add(b.configCommands()...),
		registry.Add(b.keyCommands()...),
		registry.Add(b.broadcastCommands()...),
		registry.Add(b.appCommands()...),
		registry.Add(b.bootstrapCommands()...),
		registry.Add(b.scriptCommands()...),
		registry.Add(b.logCommands()...),
		registry.Add(b.filterCommands()...),
		registry.Add(b.testCommands()...),
		registry.Add(b.lifecycleCommands()...),
		registry.Add(b.peerCommands()...),
	)
}
