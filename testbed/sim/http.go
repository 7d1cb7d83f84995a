package sim

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"

	"peerlab/bootstrap/server"
	"peerlab/bootstrap/store"
)

// connect is dial for those who want a net.Conn.
func (l *life) connect(ctx context.Context, addr string) (net.Conn, error) {
	c, err := l.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// http returns what carries the peer's requests to the bootstrap service. Each
// takes a connection of its own: one that is kept would cost each peer two
// goroutines, and each asks seldom. Nothing is compressed: here there is nothing to
// save, and a compressor takes a megabyte.
func (l *life) http() http.RoundTripper {
	return &http.Transport{
		DialContext:        func(ctx context.Context, _, addr string) (net.Conn, error) { return l.connect(ctx, addr) },
		DisableKeepAlives:  true,
		DisableCompression: true,
	}
}

// Defaults of the bootstrap program.
const (
	maxPeers            = 2
	minRefillCandidates = 2
)

// serve opens a bootstrap service that holds what it knows in memory, as the
// program does, and returns what runs it.
func serve(l *life) (func(context.Context) error, error) {
	listener, err := l.listen(bootstrapPort)
	if err != nil {
		return nil, err
	}
	// What serves a request ends in a pool of the router's, and the collector keeps
	// what is in pools, and what that refers to, for two of its rounds: a batch
	// of runs would keep each cluster for so long, and more of them the more it
	// keeps. So the service lets its cluster go when it ends.
	var host atomic.Pointer[life]
	host.Store(l)
	handler := server.New(store.NewMemory(maxPeers, minRefillCandidates), server.Options{
		Dial: func(ctx context.Context, addr string) error {
			l := host.Load()
			if l == nil {
				return net.ErrClosed
			}
			c, err := l.dial(ctx, addr)
			if err == nil {
				_ = c.Close()
			}
			return err
		},
	})
	return func(ctx context.Context) error {
		s := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
		defer host.Store(nil)
		defer context.AfterFunc(ctx, func() { _ = s.Close() })()
		if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
			return err
		}
		return nil
	}, nil
}
