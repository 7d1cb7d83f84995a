package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"syscall"

	"peerlab/bootstrap/server"
	"peerlab/bootstrap/store/open"
	"peerlab/usage"
)

// serve answers on s.listen until ctx ends.
func serve(ctx context.Context, s settings, log *slog.Logger) (err error) {
	var secure *tls.Config
	if s.tlsCert != "" {
		if secure, err = server.TLSConfig(s.tlsCert, s.tlsKey, log); err != nil {
			return err
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.listen)
	if err != nil {
		return listenError(s.listen, err)
	}
	kept, err := open.URL(ctx, s.store, open.Options{
		MaxPeers: s.maxPeers, MinRefillCandidates: s.minRefill, SetAside: s.setAside, Log: log,
	})
	if err != nil {
		_ = l.Close() // nothing was accepted
		return err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	handler := server.New(kept, server.Options{
		Log: log, TTL: s.ttl, LegacyTTL: cmp.Or(s.legacyTTL, -1), Tokens: s.tokens,
		AllowLoopback: s.allowLoopback, Rate: s.rate, TrustedProxies: s.trustedProxies,
		Hosts: s.hosts, Networks: s.prefixes,
	})
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(server.GCPercent)
	}
	log.Info("listening", "addr", l.Addr().String(), "store", open.Shown(s.store), "tls", secure != nil,
		"max_peers", s.maxPeers, "min_refill_candidates", s.minRefill, "version", usage.Version())
	if onAllAddresses(l) && s.tokens.Empty() {
		log.Warn("anyone who reaches this machine may change the list: set tokens (--tokens-file), or listen on one address (--listen 127.0.0.1:8080)")
	}
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	if err := server.Serve(ctx, l, handler, log); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// onAllAddresses reports whether l takes connections at every address of this
// machine.
func onAllAddresses(l net.Listener) bool {
	addr, ok := l.Addr().(*net.TCPAddr)
	return ok && addr.IP.IsUnspecified()
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
