package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"

	"peerlab/bootstrap/server"
	"peerlab/bootstrap/store"
)

// serve answers on s.listen until ctx ends.
func serve(ctx context.Context, s settings, log *slog.Logger) (err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.listen)
	if err != nil {
		return listenError(s.listen, err)
	}
	kept := store.NewMemory(s.maxPeers, s.minRefill)
	defer func() { err = errors.Join(err, kept.Close()) }()

	log.Info("listening", "addr", l.Addr().String(), "max_peers", s.maxPeers,
		"min_refill_candidates", s.minRefill, "version", buildVersion())
	if err := server.Serve(ctx, l, server.NewHandler(kept, log), log); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// listenError says what is wrong with addr in words for whoever set it.
func listenError(addr string, err error) error {
	hint := "want --listen HOST:PORT such as :8080 or 127.0.0.1:8080"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "another program listens there: stop it, or set --listen to a free port"
	case errors.Is(err, syscall.EACCES):
		hint = "not allowed: ports below 1024 need privilege, set --listen to a higher one"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "not an address of this machine: leave out the host to listen on all of them"
	}
	// net.OpError repeats the operation and the address.
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return fmt.Errorf("listen on %q: %w: %s", addr, err, hint)
}
