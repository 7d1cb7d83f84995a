package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"peerlab/bootstrap"
	"peerlab/bootstrap/store"
)

// maxBody is the longest request body, in bytes: a peer with every field as
// long as allowed, several times over.
const maxBody = 4 << 10

// legacy answers the API of the deployed peers, byte for byte: plain words in,
// one indented JSON object out, any method, except that what concerns all
// peers is not done by the methods of a link or an image.
type legacy struct{ *service }

// notByALink are the methods of what a page can do to others only with an
// Origin header, which tells it apart.
var notByALink = []string{
	http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodConnect, http.MethodOptions, http.MethodTrace,
}

func (l legacy) mount(r chi.Router) {
	read, write, admin := r.With(l.allow(reader)), r.With(l.allow(writer)), r.With(l.allow(administrator))
	r.HandleFunc("/ping", l.ping)
	read.HandleFunc("/list", l.list)
	write.HandleFunc("/join", l.join)
	write.HandleFunc("/leave", l.leave)
	write.HandleFunc("/refill", l.refill)
	for _, method := range notByALink {
		admin.MethodFunc(method, "/reset", l.reset)
		admin.MethodFunc(method, "/config", l.config)
	}
}

func (legacy) ping(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "OK") // a client gone is nobody's loss
}

func (l legacy) join(w http.ResponseWriter, r *http.Request) {
	if body, ok := readBody(w, r); ok {
		p, err := l.peer(body)
		l.update(w, r, err, func(s *store.State) { s.Join(l.entry(r, p)) })
	}
}

func (l legacy) leave(w http.ResponseWriter, r *http.Request) {
	if body, ok := readBody(w, r); ok {
		id, err := parseID(body)
		l.update(w, r, err, func(s *store.State) { s.Leave(id) })
	}
}

func (l legacy) refill(w http.ResponseWriter, r *http.Request) {
	if body, ok := readBody(w, r); ok {
		p, err := l.peer(body)
		l.update(w, r, err, func(s *store.State) { s.Refill(l.entry(r, p)) })
	}
}

func (l legacy) peer(body string) (bootstrap.Peer, error) {
	p, err := parsePeer(body, time.Now())
	if err != nil {
		return p, err
	}
	return p, l.checkAddr(p)
}

// entry stays longer than one of /v1: deployed peers join once and never renew.
func (l legacy) entry(r *http.Request, p bootstrap.Peer) store.Entry {
	e := store.NewEntry(p, "", time.Now(), l.LegacyTTL)
	e.Foreign = l.isForeign(r, p)
	return e
}

func (l legacy) reset(w http.ResponseWriter, r *http.Request) {
	l.update(w, r, nil, (*store.State).Reset)
}

func (l legacy) config(w http.ResponseWriter, r *http.Request) {
	if body, ok := readBody(w, r); ok {
		c, err := parseConfig(body)
		l.update(w, r, err, func(s *store.State) { s.Configure(c.MaxPeers, c.MinRefillCandidates) })
	}
}

func (l legacy) list(w http.ResponseWriter, r *http.Request) {
	s, err := l.store.View(r.Context())
	l.answer(w, r, s, err)
}

// update applies change and answers with what it left, unless the request was
// found wrong before.
func (l legacy) update(w http.ResponseWriter, r *http.Request, wrong error, change func(*store.State)) {
	if wrong != nil {
		http.Error(w, wrong.Error(), http.StatusBadRequest)
		return
	}
	s, err := l.store.Update(r.Context(), func(s *store.State) error {
		change(s)
		return nil
	})
	l.answer(w, r, s, err)
}

func (l legacy) answer(w http.ResponseWriter, r *http.Request, s store.State, err error) {
	if err != nil {
		l.unavailable(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(s.Data().Encode()) // a client gone is nobody's loss
}

// readBody is readBytes as text.
func readBody(w http.ResponseWriter, r *http.Request) (string, bool) {
	b, ok := readBytes(w, r)
	return string(b), ok
}

// readBytes returns the body, or answers the request itself and returns false.
func readBytes(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	var body bytes.Buffer
	if r.ContentLength > 0 && r.ContentLength <= maxBody {
		body.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		return body.Bytes(), true
	}
	text, status := "the body broke off", http.StatusBadRequest
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok {
		text, status = fmt.Sprintf("the body is longer than %d bytes", tooLong.Limit), http.StatusRequestEntityTooLarge
	} else if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		text, status = "the body took too long", http.StatusRequestTimeout
	}
	http.Error(w, text, status)
	return nil, false
}
