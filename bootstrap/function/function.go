// Package function is the bootstrap service as a Cloud Function: the handler of
// bootstrap/server, configured by the environment, registered as "Bootstrap".
package function

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"peerlab/bootstrap"
	"peerlab/bootstrap/server"
	"peerlab/bootstrap/store/open"
)

// Name is what the function is deployed as: its entry point.
const Name = "Bootstrap"

// The platform builds its own main, which imports this package and does no
// more: a function can only register itself while the program starts.
func init() {
	service := sync.OnceValue(func() http.Handler {
		return New(context.Background(), os.Getenv, slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	})
	functions.HTTP(Name, func(w http.ResponseWriter, r *http.Request) { service().ServeHTTP(w, r) })
}

// New returns the service that the environment describes, as cmd/bootstrap has
// it: BOOTSTRAP_STORE (required: an instance's memory is not the next one's),
// BOOTSTRAP_MAX_PEERS (3), BOOTSTRAP_MIN_REFILL_CANDIDATES (10), BOOTSTRAP_TTL
// (1m), BOOTSTRAP_RATE (6000), BOOTSTRAP_ALLOW_LOOPBACK (false) and the tokens
// BOOTSTRAP_READ_TOKEN, BOOTSTRAP_WRITE_TOKEN, BOOTSTRAP_ADMIN_TOKEN. Where
// something in it is wrong, every request is answered 503, and the log says
// what.
func New(ctx context.Context, env func(string) string, log *slog.Logger) http.Handler {
	h, err := build(ctx, env, log)
	if err != nil {
		log.Error("configuration", "err", err)
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "the service is not configured: its log says what is wrong", http.StatusServiceUnavailable)
		})
	}
	return h
}

func build(ctx context.Context, env func(string) string, log *slog.Logger) (http.Handler, error) {
	var wrong error
	note := func(name string, err error) {
		if err != nil && wrong == nil {
			wrong = fmt.Errorf("environment %s=%q: %w", name, env(name), err)
		}
	}
	number := func(name string, n int) int {
		if env(name) == "" {
			return n
		}
		n, err := strconv.Atoi(env(name))
		note(name, err)
		return n
	}
	conf := bootstrap.Config{
		MaxPeers:            number("BOOTSTRAP_MAX_PEERS", 3),
		MinRefillCandidates: number("BOOTSTRAP_MIN_REFILL_CANDIDATES", 10),
	}
	o := server.Options{
		Log: log, Rate: number("BOOTSTRAP_RATE", 6000), AllowLoopback: env("BOOTSTRAP_ALLOW_LOOPBACK") == "true",
		// Where the platform's front end speaks from; it names the client last.
		TrustedProxies: []string{"169.254.0.0/16"},
		// The front end finds the function by its name, and gives requests for
		// other names to others.
		AnyHost: true,
	}
	if text := env("BOOTSTRAP_TTL"); text != "" {
		var err error
		o.TTL, err = time.ParseDuration(text)
		if err == nil && (o.TTL < server.MinTTL || o.TTL > server.MaxTTL) {
			err = errors.New("want 3s to 24h")
		}
		note("BOOTSTRAP_TTL", err)
	}
	if wrong != nil {
		return nil, wrong
	}
	if err := conf.Validate(); err != nil {
		return nil, err
	}
	tokens := ""
	for role, name := range map[string]string{"read": "BOOTSTRAP_READ_TOKEN", "write": "BOOTSTRAP_WRITE_TOKEN", "admin": "BOOTSTRAP_ADMIN_TOKEN"} {
		if env(name) != "" {
			tokens += role + " " + env(name) + "\n"
		}
	}
	var err error
	if o.Tokens, err = server.ParseTokens(tokens); err != nil {
		return nil, err
	}
	kept, err := open.URL(ctx, env("BOOTSTRAP_STORE"), open.Options{
		MaxPeers: conf.MaxPeers, MinRefillCandidates: conf.MinRefillCandidates, Log: log,
	})
	if err != nil {
		return nil, err
	}
	return server.New(kept, o), nil // kept as long as the instance
}
