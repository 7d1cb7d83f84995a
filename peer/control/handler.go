// Package control is the door through which other programs reach a running
// peer: HTTP on a unix socket, for the attached shell, scripts and tests.
//
//	GET  /v1/healthz                 200 "ok", or 503 and why not
//	GET  /v1/info                    Status
//	POST /v1/exec                    {"line":"…"} or {"words":["…"]}; optional: see Request
//	POST /v1/interrupt               {"id":"…"}: cancels the exec that has this "id"
//	POST /v1/complete                {"line":"…"}
//	GET  /v1/events?after=N&follow=  the kept events as JSON lines
//
// exec answers with JSON lines, sent as the output comes: {"out":"…"} any
// number of times, then one {"done":true} which has "error" if the command
// failed. Whatever is wrong with the request itself is a 4xx with {"error":"…"}.
//
// Who may open the socket may do anything: its file and directory are for its
// owner only, and both ends verify that the other is of the same user or root.
package control

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"peerlab/event"
	"peerlab/internal/terminal"
	"peerlab/peer/command"
)

const (
	// bodyLimit bounds a request: MaxStdin and MaxFiles, which JSON may nearly
	// double, and the rest.
	bodyLimit = 5 << 20
	// readTimeout bounds the arrival of a request's body.
	readTimeout = 10 * time.Second
	// writeTimeout bounds each write to a client: one that stops reading is
	// dropped, and its command canceled.
	writeTimeout = 10 * time.Second
)

// Info says who is behind the socket.
type Info struct {
	Name    string       // the peer's name
	Version string       // of the program
	Started time.Time    // when the peer was started
	Ready   func() error // why the peer is not healthy; nil or returning nil: it is. Called concurrently.
	Log     *slog.Logger // where a panic of a command is reported; nil: nowhere
	// Online returns how many members are online, this peer included; nil, or
	// returning 0: it is not known. It is called concurrently.
	Online func() int
}

// Status is what a peer says of itself.
type Status struct {
	Name    string    `json:"name"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Ready   bool      `json:"ready"`
	Problem string    `json:"problem,omitempty"` // why it is not ready
	Last    uint64    `json:"last"`              // the number of its latest event
	// Online is how many members are online, this peer included; 0: not known.
	Online int `json:"online,omitempty"`
	// SaysText says that a line that is typed is a text unless it begins with a slash.
	SaysText bool `json:"says_text,omitempty"`
}

// server answers the requests.
type server struct {
	info         Info
	registry     *command.Registry
	log          *event.Log
	writeTimeout time.Duration
	running      running
}

// NewHandler returns the handler of the control API. A command runs with the
// context of its request: it is canceled when the client goes away.
func NewHandler(info Info, reg *command.Registry, log *event.Log) http.Handler {
	return (&server{info: info, registry: reg, log: log, writeTimeout: writeTimeout}).routes()
}

func (s *server) routes() http.Handler {
	if s.info.Log == nil {
		s.info.Log = slog.New(slog.DiscardHandler)
	}
	r := chi.NewRouter()
	r.Use(s.guard)
	r.Get("/v1/healthz", s.health)
	r.Get("/v1/info", s.status)
	r.Post("/v1/exec", s.exec)
	r.Post("/v1/interrupt", s.interrupt)
	r.Post("/v1/complete", s.complete)
	r.Get("/v1/events", s.events)
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, "no such route "+r.URL.Path+": there are /v1/healthz, info, exec, interrupt, complete, events")
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusMethodNotAllowed, r.Method+" is not allowed on "+r.URL.Path+": exec, interrupt and complete take POST, the others GET")
	})
	return r
}

// guard bounds the time of the first write and turns a panic into a 500, so
// that no request can end the peer.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			if p != nil {
				s.info.Log.Error("control request panicked", "path", r.URL.Path, "panic", p)
				fail(w, http.StatusInternalServerError, "internal error: the peer's log has it")
			}
		}()
		// A deadline outlives its request on a kept connection, so every
		// request sets its own.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.writeTimeout))
		next.ServeHTTP(w, r)
	})
}

func (s *server) problem() error {
	if s.info.Ready == nil {
		return nil
	}
	return s.info.Ready()
}

func (s *server) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := s.problem(); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, oneLine(err.Error())+"\n")
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

func (s *server) status(w http.ResponseWriter, _ *http.Request) {
	st := Status{
		Name: s.info.Name, Version: s.info.Version, Started: s.info.Started.UTC(),
		Ready: true, Last: s.log.Last(),
	}
	if err := s.problem(); err != nil {
		st.Ready, st.Problem = false, oneLine(err.Error())
	}
	if s.info.Online != nil {
		st.Online = s.info.Online()
	}
	st.SaysText = s.registry.SaysText()
	reply(w, http.StatusOK, st)
}

// failure is the body of every answer that is no success.
type failure struct {
	Error string `json:"error"`
}

func fail(w http.ResponseWriter, status int, text string) {
	reply(w, status, failure{oneLine(text)})
}

func reply(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // a time outside year 0..9999
		status, b = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(terminal.EscapeJSON(b), '\n'))
}

// oneLine makes one line of an error's text that is safe on a terminal.
func oneLine(text string) string {
	return terminal.Line(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
}
