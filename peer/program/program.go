// Package program is the peer program: its flags and subcommands, for
// cmd/peer and for your own main that adds commands or another application.
package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	// The image holds no certificates of authorities: an https bootstrap
	// service would not be trusted. The system's are used where it has some.
	_ "golang.org/x/crypto/x509roots/fallback"

	"peerlab/internal/terminal"
	"peerlab/peer"
	chatapp "peerlab/peer/chat/app"
	"peerlab/peer/control"
	"peerlab/peer/shell"
)

// Program is a peer program. The zero value is cmd/peer.
type Program struct {
	// Version is shown by the version command; empty means what the Go
	// toolchain recorded.
	Version string
	// App makes the application layer of a peer, or returns nil for none; a nil
	// function means the chat.
	App func() peer.App
	// Setup is called with every peer that is made, before it runs, for
	// example to add commands to its registry.
	Setup func(*peer.Peer) error
}

// Main runs the program with the process's arguments and does not return. It
// exits 0 on success, 2 on wrong usage, control.StatusNoPeer where no peer
// answers or it ends while it does, and 1 on any other failure, which it tells
// in one line on standard error.
func (p Program) Main() {
	// A reader of the events that goes away must not take the peer with it.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process: whoever sends it does not want to wait.
	context.AfterFunc(ctx, stop)
	err := p.root().ExecuteContext(ctx)
	if err == nil {
		os.Exit(0)
	}
	if !errors.Is(err, shell.ErrGone) { // the shell has said so itself
		fmt.Fprintln(os.Stderr, "peer: "+terminal.Clean(err.Error()))
	}
	switch {
	case errors.As(err, new(usageError)):
		os.Exit(2)
	case errors.Is(err, control.ErrNoPeer):
		os.Exit(control.StatusNoPeer)
	}
	os.Exit(1)
}

// config is the configuration of a peer of this program.
func (p Program) config(name string) peer.Config {
	if p.App == nil {
		return chatapp.NewConfig(name)
	}
	return peer.Config{Name: name, App: p.App()}
}

// new makes a peer of this program.
func (p Program) new(conf peer.Config) (*peer.Peer, error) {
	made, err := peer.New(conf)
	if err != nil {
		return nil, err
	}
	if p.Setup != nil {
		if err := p.Setup(made); err != nil {
			return nil, fmt.Errorf("set up the peer: %w", err)
		}
	}
	return made, nil
}
