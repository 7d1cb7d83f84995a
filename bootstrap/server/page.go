package server

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"peerlab/bootstrap"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page shows the list to a person. It refreshes itself without JavaScript.
func (s *service) page(w http.ResponseWriter, r *http.Request) {
	state, err := s.store.View(r.Context())
	if err != nil {
		s.unavailable(w, r, err)
		return
	}
	now := time.Now()
	type row struct {
		bootstrap.Listed
		Up, Renewed, Left string
	}
	list := s.listOf(state, "")
	view := struct {
		bootstrap.List
		Rows []row
		Now  string
	}{List: list, Now: now.UTC().Format(time.DateTime)}
	for _, p := range list.Peers {
		seconds, _ := p.Since() // valid: it was stored
		left := "never"
		if !p.Expires.IsZero() {
			left = "in " + age(p.Expires.Sub(now))
		}
		view.Rows = append(view.Rows, row{p, age(now.Sub(time.Unix(seconds, 0))), age(now.Sub(p.Renewed)) + " ago", left})
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, view); err != nil {
		s.Log.Error("page", "err", err)
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	_, _ = w.Write(b.Bytes()) // a client gone is nobody's loss
}

// age is a duration as people say it, in whole seconds.
func age(d time.Duration) string {
	d = max(d, 0).Truncate(time.Second)
	if days := d / (24 * time.Hour); days > 0 {
		return fmt.Sprintf("%dd%s", days, (d % (24 * time.Hour)).String())
	}
	return d.String()
}
