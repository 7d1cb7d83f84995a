package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

// observe logs and measures each request, gives errors of /v1 their form, and
// turns a panic in a handler into an answer and a log entry: one request that
// hits a fault must not end the service.
func (s *service) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		start := time.Now()
		w := middleware.NewWrapResponseWriter(rw, r.ProtoMajor)
		id := middleware.GetReqID(r.Context())
		w.Header().Set(middleware.RequestIDHeader, id)
		var out http.ResponseWriter = w
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			p := &problemWriter{ResponseWriter: w, instance: id}
			out = p
		}
		defer func() {
			if v := recover(); v != nil {
				s.Log.ErrorContext(r.Context(), "handler panicked", "path", r.URL.Path,
					"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
				if w.Status() == 0 {
					http.Error(out, "internal error", http.StatusInternalServerError)
				}
			}
			if p, ok := out.(*problemWriter); ok {
				p.finish()
			}
			s.done(r, w, time.Since(start))
		}()
		next.ServeHTTP(out, r)
	})
}

// done reports a request that was answered.
func (s *service) done(r *http.Request, w middleware.WrapResponseWriter, took time.Duration) {
	status := max(w.Status(), http.StatusOK) // 0 if nothing was written
	route := "other"
	if c := chi.RouteContext(r.Context()); c != nil && c.RoutePattern() != "" && status != http.StatusNotFound {
		route = c.RoutePattern()
	}
	s.metrics.observe(route, r.Method, status, took)
	level := slog.LevelInfo
	if (r.URL.Path == "/healthz" || r.URL.Path == "/readyz") && status == http.StatusOK {
		level = slog.LevelDebug // a line every few seconds, for ever
	}
	if !s.Log.Enabled(r.Context(), level) {
		return
	}
	attrs := make([]slog.Attr, 0, 8)
	attrs = append(attrs,
		slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.Int("status", status), slog.Int("bytes", w.BytesWritten()),
		slog.Duration("took", took), slog.String("remote", r.RemoteAddr),
		slog.String("id", middleware.GetReqID(r.Context())))
	if len(s.TrustedProxies) > 0 { // otherwise it is the remote
		attrs = append(attrs, slog.String("client", middleware.GetClientIP(r.Context())))
	}
	s.Log.LogAttrs(r.Context(), level, "request", attrs...)
}
