package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// What one connection may take. A request is one short line, so these are
// generous for every honest client and short for one that only holds on.
const (
	maxHeader     = 8 << 10 // bytes
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 15 * time.Second // runs along with readTimeout: longer, so that 408 can still be sent
	idleTimeout   = time.Minute
)

// GCPercent is what a process that does nothing but serve sets the garbage
// collector to: what the service keeps is so small that the default would
// collect after every few hundred requests. It costs some megabytes.
const GCPercent = 800

// Grace is how long Serve waits for requests under way when it is told to end.
const Grace = 5 * time.Second

// Serve answers requests on l with h until ctx ends, then takes no new ones,
// waits up to Grace for those under way, cuts what is left, and returns nil.
// It returns an error only if l fails first. It closes l in any case.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	srv := &http.Server{
		Handler:           h,
		MaxHeaderBytes:    maxHeader,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	case <-ctx.Done():
		log.Info("stopping", "grace", Grace)
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), Grace)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		log.Warn("requests cut at shutdown", "grace", Grace)
		if err := srv.Close(); err != nil {
			log.Warn("close at shutdown", "err", err)
		}
	}
	<-done
	return nil
}
