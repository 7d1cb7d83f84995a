package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"peerlab/bootstrap"
)

// problemWriter gives every error its form of RFC 9457, whoever answers it: a
// handler, chi's middleware, the router. All of them write one line of text,
// which becomes the detail.
type problemWriter struct {
	http.ResponseWriter
	instance string
	status   int // of an error being held back, else 0
	text     bytes.Buffer
	done     bool
}

func (p *problemWriter) WriteHeader(status int) {
	if status < 400 || p.status != 0 {
		if p.status == 0 {
			p.ResponseWriter.WriteHeader(status)
		}
		return
	}
	p.status = status
}

func (p *problemWriter) Write(b []byte) (int, error) {
	if p.status == 0 {
		return p.ResponseWriter.Write(b)
	}
	p.text.Write(b)
	return len(b), nil
}

// Unwrap is for http.ResponseController.
func (p *problemWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// finish sends an error that was held back.
func (p *problemWriter) finish() {
	if p.status == 0 || p.done {
		return
	}
	p.done = true
	b, err := json.Marshal(bootstrap.Problem{
		Type: "about:blank", Title: http.StatusText(p.status), Status: p.status,
		Detail: strings.TrimSpace(strings.ToValidUTF8(p.text.String(), "\uFFFD")), Instance: p.instance,
	})
	if err != nil {
		panic(err) // strings and an integer: no value can fail
	}
	h := p.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", "application/problem+json")
	p.ResponseWriter.WriteHeader(p.status)
	_, _ = p.ResponseWriter.Write(b) // a client gone is nobody's loss
}
