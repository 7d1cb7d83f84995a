// Package server answers the bootstrap service's HTTP API from a store.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"

	"peerlab/bootstrap/store"
)

// requestTimeout is how long one request may wait for the store and for checks
// of addresses.
const requestTimeout = 10 * time.Second

// Defaults of Options.
const (
	DefaultTTL       = time.Minute
	DefaultLegacyTTL = 24 * time.Hour
	// MinTTL and MaxTTL are what Options.TTL is sensible between: peers take
	// less for MinTTL and more for MaxTTL.
	MinTTL = 3 * time.Second
	MaxTTL = 24 * time.Hour
	// DefaultConcurrent requests are under way at once; as many again wait.
	DefaultConcurrent = 1024
)

// Options say how the service answers. The zero value is a service for anyone
// who can reach it, except web pages.
type Options struct {
	Log *slog.Logger // nil logs nothing
	// TTL is how long a peer that registers through /v1 stays without
	// renewing; 0 means DefaultTTL.
	TTL time.Duration
	// LegacyTTL is the same for the legacy API, whose peers do not renew; 0
	// means DefaultLegacyTTL, less than 0 for ever.
	LegacyTTL time.Duration
	Tokens    Tokens
	// AllowLoopback accepts peers at 127.0.0.0/8 and ::1: for one machine.
	AllowLoopback bool
	// Rate is how many requests a minute one client may make; 0 for any.
	Rate int
	// Concurrent is how many requests are worked on at once; 0 means
	// DefaultConcurrent. As many again wait for up to a second.
	Concurrent int
	// TrustedProxies are the networks, such as 10.0.0.0/8, whose word in
	// X-Forwarded-For is taken for the client's address.
	TrustedProxies []string
	// Hosts are the names by which clients call this service, besides IP
	// addresses, localhost and names without a dot. A request that needs no
	// token and calls it by another name is refused, except over TLS, where the
	// certificate has told the client whom it speaks to: a web page could have
	// that name lead here (DNS rebinding).
	Hosts []string
	// AnyHost takes requests for every name: for a service behind something
	// that chooses by the name itself.
	AnyHost bool
	// Networks are where peers may be registered; nil for anywhere.
	Networks []netip.Prefix
	// Dial says whether a registered peer answers at addr (host:port). nil
	// connects over TCP.
	Dial func(ctx context.Context, addr string) error
}

// service is what all handlers share.
type service struct {
	Options
	store   store.Store
	checker *checker
	metrics *metrics
	lists   cache
}

// NewHandler returns the service over s as for development: for anyone, peers
// at loopback addresses included.
func NewHandler(s store.Store, log *slog.Logger) http.Handler {
	return New(s, Options{Log: log, AllowLoopback: true})
}

// New returns the service over s, which stays the caller's to close. Every
// request is logged; health checks that succeed, at debug level.
func New(s store.Store, o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	switch {
	case o.LegacyTTL == 0:
		o.LegacyTTL = DefaultLegacyTTL
	case o.LegacyTTL < 0:
		o.LegacyTTL = 0 // never, for the store
	}
	if o.Concurrent == 0 {
		o.Concurrent = DefaultConcurrent
	}
	if o.Tokens.onlyRead() {
		o.Log.Warn("there is a read token alone: no peer can register, set a write token")
	}
	svc := &service{Options: o, store: s, checker: newChecker(o.Dial), metrics: newMetrics(s)}

	r := chi.NewRouter()
	r.Use(middleware.RequestID)
	if len(o.TrustedProxies) > 0 {
		r.Use(middleware.ClientIPFromXFF(o.TrustedProxies...))
	} else {
		r.Use(middleware.ClientIPFromRemoteAddr)
	}
	r.Use(svc.observe)
	r.Get("/healthz", svc.healthz)
	r.Head("/healthz", svc.healthz)
	r.Get("/readyz", svc.readyz)
	r.Head("/readyz", svc.readyz)
	r.Group(func(r chi.Router) {
		r.Use(middleware.ThrottleBacklog(o.Concurrent, o.Concurrent, time.Second), middleware.Timeout(requestTimeout))
		if o.Rate > 0 {
			r.Use(httprate.LimitBy(o.Rate, time.Minute, clientKey, httprate.WithLimitHandler(tooMany)))
		}
		legacy{svc}.mount(r)
		r.Group(func(r chi.Router) {
			// Not for the legacy API, whose answers stay as they are to the byte.
			r.Use(middleware.Maybe(compress, func(r *http.Request) bool { return r.Header.Get("Accept-Encoding") != "" }))
			v1{svc}.mount(r)
			r.With(svc.allow(reader)).Get("/", svc.page)
		})
		r.With(svc.allow(reader)).Get("/metrics", svc.metrics.handler().ServeHTTP)
	})
	r.NotFound(notFound(r))
	r.MethodNotAllowed(methodNotAllowed(r))
	return r
}

// compressor is the process's, not a service's: what one compressed answer
// needs takes 800 KB, and a simulation runs thousands of services one after
// the other.
var compressor = sync.OnceValue(func() *middleware.Compressor {
	return middleware.NewCompressor(5, "application/json", "text/html")
})

// compress compresses answers of a handler for those who accept that.
func compress(next http.Handler) http.Handler { return compressor().Handler(next) }

func clientKey(r *http.Request) (string, error) {
	return httprate.CanonicalizeIP(middleware.GetClientIP(r.Context())), nil
}

func tooMany(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "too many requests: wait for as many seconds as Retry-After says", http.StatusTooManyRequests)
}

// healthz answers 200 as long as the process can answer at all.
func (s *service) healthz(w http.ResponseWriter, _ *http.Request) { ok(w) }

// readyz answers 200 if the store can be read.
func (s *service) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if _, err := s.store.View(ctx); err != nil {
		s.unavailable(w, r, err)
		return
	}
	ok(w)
}

func ok(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "ok")
}

// unavailable answers a request that the store failed. The client learns that
// it may try again; why it failed is for the log.
func (s *service) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	if !errors.Is(r.Context().Err(), context.Canceled) { // otherwise the client left, and nothing failed
		s.Log.ErrorContext(r.Context(), "store failed", "path", r.URL.Path, "err", err)
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
	methods := append([]string{http.MethodGet, http.MethodHead}, notByALink...)
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
