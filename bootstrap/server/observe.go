package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/go-chi/chi/v5/middleware"
)

// observe logs each request, and turns a panic in a handler into an answer and
// a log entry: one request that hits a fault must not end the service.
func observe(log *slog.Logger) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			start := time.Now()
			w := middleware.NewWrapResponseWriter(rw, r.ProtoMajor)
			defer func() {
				if v := recover(); v != nil {
					log.ErrorContext(r.Context(), "handler panicked", "path", r.URL.Path,
						"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
					if w.Status() == 0 {
						http.Error(w, "internal error", http.StatusInternalServerError)
					}
				}
				status := max(w.Status(), http.StatusOK) // 0 if nothing was written
				level := slog.LevelInfo
				if r.URL.Path == "/healthz" && status == http.StatusOK {
					level = slog.LevelDebug // a line every few seconds, for ever
				}
				log.LogAttrs(r.Context(), level, "request",
					slog.String("method", r.Method), slog.String("path", r.URL.Path),
					slog.Int("status", status), slog.Int("bytes", w.BytesWritten()),
					slog.Duration("took", time.Since(start)), slog.String("remote", r.RemoteAddr))
			}()
			next.ServeHTTP(w, r)
		})
	}
}
