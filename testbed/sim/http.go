package sim

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"

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
// goroutines, and each asks seldom.
func (l *life) http() http.RoundTripper {
	return &http.Transport{
		DialContext:       func(ctx context.Context, _, addr string) (net.Conn, error) { return l.connect(ctx, addr) },
		DisableKeepAlives: true,
		// Both sides are in this process: there is nothing to save.
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
	handler := server.New(store.NewMemory(maxPeers, minRefillCandidates), server.Options{
		Dial: func(ctx context.Context, addr string) error {
			c, err := l.dial(ctx, addr)
			if err == nil {
				_ = c.Close()
			}
			return err
		},
	})
	return func(ctx context.Context) error {
		s := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
		defer context.AfterFunc(ctx, func() { _ = s.Close() })()
		if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
			return err
		}
		return nil
	}, nil
}
