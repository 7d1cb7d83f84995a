// Package server answers the bootstrap service's HTTP API from a store.
package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"peerlab/bootstrap/store"
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

// Grace is how long Serve waits for requests under way when it is told to end.
const Grace = 5 * time.Second

// NewHandler returns the service over s, which stays the caller's to close.
// Every request is logged to log; health checks that succeed, at debug level.
func NewHandler(s store.Store, log *slog.Logger) http.Handler {
	r := chi.NewRouter()
	r.Use(observe(log))
	legacy{s, log}.mount(r)
	health := healthz(s, log)
	r.Get("/healthz", health)
	r.Head("/healthz", health)
	r.NotFound(notFound(r))
	r.MethodNotAllowed(methodNotAllowed(r))
	return r
}

// healthz answers 200 if the store can be read.
func healthz(s store.Store, log *slog.Logger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := s.View(r.Context()); err != nil {
			unavailable(w, r, log, err)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, "ok")
	}
}

// unavailable answers a request that the store failed. The client learns that
// it may try again; why it failed is for the log.
func unavailable(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	if r.Context().Err() == nil { // otherwise the client left, and nothing failed
		log.ErrorContext(r.Context(), "store failed", "path", r.URL.Path, "err", err)
	}
	http.Error(w, "the store does not answer: try again later", http.StatusServiceUnavailable)
}

func notFound(routes chi.Routes) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		var paths []string
		for _, route := range routes.Routes() {
			paths = append(paths, route.Pattern)
		}
		http.Error(w, "no such path: this service answers "+strings.Join(paths, " "), http.StatusNotFound)
	}
}

func methodNotAllowed(routes chi.Routes) http.HandlerFunc {
	methods := []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace,
	}
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, m := range methods {
			if routes.Match(chi.NewRouteContext(), m, r.URL.Path) {
				allowed = append(allowed, m)
			}
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		http.Error(w, "method not allowed: use "+strings.Join(allowed, ", "), http.StatusMethodNotAllowed)
	}
}

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
