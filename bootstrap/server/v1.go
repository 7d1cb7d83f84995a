package server

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"peerlab/bootstrap"
	"peerlab/bootstrap/store"
)

// openAPI describes /v1; a test holds it against the handlers.
//
//go:embed openapi.json
var openAPI []byte

// v1 answers the API of today: JSON, errors after RFC 9457.
type v1 struct{ *service }

func (v v1) mount(r chi.Router) {
	r.Get("/v1/openapi.json", v.describe)
	inJSON := middleware.AllowContentType("application/json")
	read, write, admin := r.With(v.allow(reader)), r.With(v.allow(writer)), r.With(v.allow(administrator))
	read.Get("/v1/peers", v.list)
	read.Get("/v1/peers/{id}", v.get)
	write.With(inJSON).Put("/v1/peers/{id}", v.put)
	write.Delete("/v1/peers/{id}", v.remove)
	write.With(inJSON).Post("/v1/refill", v.refill)
	read.Get("/v1/config", v.config)
	admin.With(inJSON).Put("/v1/config", v.configure)
	admin.Delete("/v1/peers", v.reset)
}

func (v v1) describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI) // a client gone is nobody's loss
}

func (v v1) list(w http.ResponseWriter, r *http.Request) {
	s, err := v.store.View(r.Context())
	v.answer(w, r, s, "", err)
}

func (v v1) get(w http.ResponseWriter, r *http.Request) {
	s, err := v.store.View(r.Context())
	if err != nil {
		v.unavailable(w, r, err)
		return
	}
	e, ok := s.Peers[pathID(r)]
	if !ok {
		http.Error(w, "no such peer is registered", http.StatusNotFound)
		return
	}
	writeJSON(w, listed(e))
}

// put registers or renews.
func (v v1) put(w http.ResponseWriter, r *http.Request) {
	o, ok := v.offer(w, r, pathID(r))
	if !ok {
		return
	}
	if len(o.Gone) > 0 {
		http.Error(w, "gone belongs into a refill", http.StatusBadRequest)
		return
	}
	s, err := v.change(r, func(s *store.State) { s.Register(v.entry(r, o)) })
	if _, there := s.Peers[o.ID]; err == nil && there && prefersMinimal(r) {
		w.Header().Set("Preference-Applied", "return=minimal")
		writeJSON(w, bootstrap.Renewed{Config: s.Config(), TTL: int(v.TTL.Seconds()), Listed: true})
		return
	}
	v.answer(w, r, s, o.ID, err)
}

// prefersMinimal reports whether a request says Prefer: return=minimal (RFC
// 7240): its sender knows the list, and only wants to stay on it.
func prefersMinimal(r *http.Request) bool {
	for _, line := range r.Header.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			preference, _, _ = strings.Cut(preference, ";")
			name, value, _ := strings.Cut(preference, "=")
			if strings.EqualFold(strings.TrimSpace(name), "return") && strings.Trim(value, " \t\"") == "minimal" {
				return true
			}
		}
	}
	return false
}

// remove takes a peer off the list: on its own word, or, with reason=dead, on
// another's, if it answers no longer.
func (v v1) remove(w http.ResponseWriter, r *http.Request) {
	id := pathID(r)
	var dead []store.Entry
	switch reason := r.URL.Query().Get("reason"); reason {
	case "":
	case "dead":
		s, err := v.store.View(r.Context())
		if err != nil {
			v.unavailable(w, r, err)
			return
		}
		dead = v.checker.dead(r.Context(), s.Peers, []string{id})
		if e, there := s.Peers[id]; there && len(dead) == 0 {
			text := "the peer answers at its address: it stays"
			if e.Foreign {
				text = "the peer was registered from another address than its own, and is not contacted: it stays until it stops renewing"
			}
			http.Error(w, text, http.StatusConflict)
			return
		}
	default:
		http.Error(w, fmt.Sprintf("reason %.40q: want dead, or none for a peer that leaves", reason), http.StatusBadRequest)
		return
	}
	s, err := v.change(r, func(s *store.State) {
		if r.URL.Query().Get("reason") == "" {
			s.Leave(id)
		}
		remove(s, dead)
	})
	v.answer(w, r, s, "", err)
}

// refill takes a candidate for the place of peers that have gone.
func (v v1) refill(w http.ResponseWriter, r *http.Request) {
	o, ok := v.offer(w, r, "")
	if !ok {
		return
	}
	var dead []store.Entry
	if len(o.Gone) > 0 {
		s, err := v.store.View(r.Context())
		if err != nil {
			v.unavailable(w, r, err)
			return
		}
		dead = v.checker.dead(r.Context(), s.Peers, o.Gone)
	}
	s, err := v.change(r, func(s *store.State) {
		remove(s, dead)
		s.Replace(v.entry(r, o))
	})
	v.answer(w, r, s, o.ID, err)
}

func (v v1) config(w http.ResponseWriter, r *http.Request) {
	s, err := v.store.View(r.Context())
	if err != nil {
		v.unavailable(w, r, err)
		return
	}
	writeJSON(w, s.Config())
}

func (v v1) configure(w http.ResponseWriter, r *http.Request) {
	body, ok := readBytes(w, r)
	if !ok {
		return
	}
	c, err := parseConfigJSON(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s, err := v.change(r, func(s *store.State) { s.Configure(c.MaxPeers, c.MinRefillCandidates) })
	if err != nil {
		v.unavailable(w, r, err)
		return
	}
	writeJSON(w, s.Config())
}

func (v v1) reset(w http.ResponseWriter, r *http.Request) {
	s, err := v.change(r, (*store.State).Reset)
	v.answer(w, r, s, "", err)
}

// change runs one change that cannot fail.
func (v v1) change(r *http.Request, f func(*store.State)) (store.State, error) {
	return v.store.Update(r.Context(), func(s *store.State) error { f(s); return nil })
}

func (v v1) entry(r *http.Request, o bootstrap.Offer) store.Entry {
	e := store.NewEntry(o.Peer, o.View, time.Now(), v.TTL)
	e.Foreign = v.isForeign(r, o.Peer)
	return e
}

// answer sends the list. id is the sender of an offer, "" for other requests.
func (v v1) answer(w http.ResponseWriter, r *http.Request, s store.State, id string, err error) {
	if err != nil {
		v.unavailable(w, r, err)
		return
	}
	v.writeList(w, s, id)
}

// listOf returns the list as a value, for the page and the tests.
func (s *service) listOf(state store.State, id string) bootstrap.List {
	_, there := state.Peers[id]
	l := bootstrap.List{
		Config: state.Config(), TTL: int(s.TTL.Seconds()), Listed: there,
		Peers: make([]bootstrap.Listed, 0, len(state.Peers)),
	}
	for _, e := range byAge(state) {
		l.Peers = append(l.Peers, listed(e))
	}
	return l
}

func listed(e store.Entry) bootstrap.Listed {
	return bootstrap.Listed{
		Peer: e.Peer, View: e.View, Expires: e.Expires().UTC(),
		Registered: time.UnixMilli(e.Registered).UTC(), Renewed: time.UnixMilli(e.Renewed).UTC(),
	}
}

// offer reads the body, or answers the request itself and returns false.
func (v v1) offer(w http.ResponseWriter, r *http.Request, id string) (bootstrap.Offer, bool) {
	body, ok := readBytes(w, r)
	if !ok {
		return bootstrap.Offer{}, false
	}
	o, err := parseOffer(body, id)
	if err == nil {
		err = v.checkAddr(o.Peer)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return bootstrap.Offer{}, false
	}
	return o, true
}

// parseOffer reads an offer. Where the path names the peer, as id, the body
// need not, but must not name another.
func parseOffer(body []byte, id string) (bootstrap.Offer, error) {
	var o bootstrap.Offer
	if err := json.Unmarshal(body, &o); err != nil {
		return bootstrap.Offer{}, notJSON(err)
	}
	if id != "" && o.ID == "" {
		o.ID = id
	}
	if id != "" && o.ID != id {
		return bootstrap.Offer{}, errors.New("the id in the body is not the one in the path")
	}
	if err := o.Validate(); err != nil {
		return bootstrap.Offer{}, err
	}
	return o, nil
}

// parseConfigJSON wants both numbers: one left out would silently be 0.
func parseConfigJSON(body []byte) (bootstrap.Config, error) {
	var c struct {
		MaxPeers            *int `json:"maxpeers"`
		MinRefillCandidates *int `json:"minrefillcandidates"`
	}
	if err := json.Unmarshal(body, &c); err != nil {
		return bootstrap.Config{}, notJSON(err)
	}
	if c.MaxPeers == nil || c.MinRefillCandidates == nil {
		return bootstrap.Config{}, errors.New("want maxpeers and minrefillcandidates")
	}
	conf := bootstrap.Config{MaxPeers: *c.MaxPeers, MinRefillCandidates: *c.MinRefillCandidates}
	return conf, conf.Validate()
}

// notJSON says in words of this API what encoding/json says in Go's, without
// repeating what was sent.
func notJSON(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("the body's %.40q is a %s: that is the wrong type", wrong.Field, wrong.Value)
	}
	return errors.New("the body is not the JSON object that /v1/openapi.json describes")
}

// pathID returns the {id} of the path.
func pathID(r *http.Request) string {
	id := chi.URLParam(r, "id")
	// chi matches the escaped path where there is one that differs.
	if r.URL.RawPath != "" {
		if u, err := url.PathUnescape(id); err == nil {
			return u
		}
	}
	return id
}
