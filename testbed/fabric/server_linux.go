package fabric

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// maxMatrix is how large a request may be: that of some 400 peers with links
// that are all different.
const maxMatrix = 32 << 20

// Handler answers the requests of a [Client]:
//
//	PUT    /v1/matrix?lease=10s   put the matrix in the body in force
//	POST   /v1/renew?id=ID        start its lease anew; 410 if it has lapsed
//	DELETE /v1/matrix             remove every rule
//	GET    /v1/status             Status
//	GET    /v1/counters           an object of Count by pair
//	GET    /v1/features           a list of Feature
//
// A failure is answered with 4xx or 500 and {"error":"one line"}.
func (a *Agent) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /v1/matrix", a.handleApply)
	mux.HandleFunc("POST /v1/renew", func(w http.ResponseWriter, r *http.Request) {
		respond(w, struct{}{}, a.renew(r.URL.Query().Get("id")))
	})
	mux.HandleFunc("DELETE /v1/matrix", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, struct{}{}, a.clear())
	})
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, a.status(), nil)
	})
	mux.HandleFunc("GET /v1/counters", func(w http.ResponseWriter, _ *http.Request) {
		counts, err := a.counters()
		respond(w, counts, err)
	})
	mux.HandleFunc("GET /v1/features", func(w http.ResponseWriter, _ *http.Request) {
		features, err := a.listFeatures()
		respond(w, features, err)
	})
	return mux
}

func (a *Agent) handleApply(w http.ResponseWriter, r *http.Request) {
	done, err := func() (applied, error) {
		lease, err := time.ParseDuration(r.URL.Query().Get("lease"))
		if err != nil {
			return applied{}, badRequest{fmt.Errorf("lease: %w", err)}
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMatrix))
		if err != nil {
			return applied{}, badRequest{err}
		}
		// Rows, not a Matrix: the JSON of one's own unmarshaller is read twice.
		var rows []row
		if err := json.Unmarshal(body, &rows); err != nil {
			return applied{}, badRequest{fmt.Errorf("matrix: %w", err)}
		}
		m, err := matrixOf(rows)
		if err != nil {
			return applied{}, badRequest{err}
		}
		return a.apply(m, lease)
	}()
	respond(w, done, err)
}

// respond writes the value or, if there is one, the error.
func respond(w http.ResponseWriter, value any, err error) {
	status := http.StatusOK
	switch {
	case err == nil:
	case errors.As(err, new(badRequest)):
		status = http.StatusBadRequest
	case errors.Is(err, ErrLapsed):
		status = http.StatusGone
	case errors.Is(err, errClosing):
		status = http.StatusServiceUnavailable
	default:
		status = http.StatusInternalServerError
	}
	if err != nil {
		value = failure{Error: err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

// Serve answers requests on l and runs the agent until ctx ends or the bridge
// is gone. It closes l, and returns after everything is removed.
func (a *Agent) Serve(ctx context.Context, l net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	server := &http.Server{
		Handler:           a.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(l)
		stop()
	}()
	err := a.Run(ctx)
	_ = server.Close() // what runs meets a closed agent
	if failed := <-served; !errors.Is(failed, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve: %w", failed))
	}
	return err
}
