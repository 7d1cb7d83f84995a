package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"

	"peerlab/peer/command"
	"peerlab/peer/files"
)

func (s *server) exec(w http.ResponseWriter, r *http.Request) {
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	req, err := DecodeRequest(body)
	if err != nil {
		status := http.StatusBadRequest
		if errors.Is(err, errStdinSize) {
			status = http.StatusRequestEntityTooLarge
		}
		fail(w, status, err.Error())
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer s.running.add(req.ID, cancel)()
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := newFrameWriter(w, s.writeTimeout, cancel)
	out.begin()
	out.end(s.run(ctx, req, out))
}

// run runs the command, whose panic is an error of its own.
func (s *server) run(ctx context.Context, req Request, out io.Writer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.info.Log.Error("command panicked", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	ctx = files.With(command.WithCaller(ctx, req.caller()), req.Files)
	var in io.Reader
	if req.Stdin != nil {
		in = strings.NewReader(*req.Stdin)
	}
	if req.Line != nil {
		return s.registry.RunLine(ctx, *req.Line, in, out)
	}
	return s.registry.Run(ctx, req.Words, in, out)
}

// running is the commands that can be interrupted, by their names.
type running struct {
	mu     sync.Mutex
	cancel map[string]context.CancelFunc
}

// add makes interrupt call cancel until the function it returns is called.
func (r *running) add(id string, cancel context.CancelFunc) (remove func()) {
	if id == "" {
		return func() {}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel == nil {
		r.cancel = make(map[string]context.CancelFunc)
	}
	r.cancel[id] = cancel
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.cancel, id)
	}
}

// interrupt cancels a command, which still tells what it has to tell.
func (s *server) interrupt(w http.ResponseWriter, r *http.Request) {
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	var req interruptRequest
	if err := decode(body, &req); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	s.running.mu.Lock()
	cancel := s.running.cancel[req.ID]
	s.running.mu.Unlock()
	if cancel != nil { // otherwise it has ended
		cancel()
	}
	reply(w, http.StatusOK, struct{}{})
}

func (s *server) complete(w http.ResponseWriter, r *http.Request) {
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	var req completeRequest
	if err := decode(body, &req); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	candidates, word := s.registry.Complete(req.Line)
	if candidates == nil {
		candidates = []string{}
	}
	reply(w, http.StatusOK, completeReply{candidates, word})
}
