package server

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"peerlab/bootstrap/store"
)

// BenchmarkHandler is what one request costs without the network: make
// bench-bootstrap has it with.
func BenchmarkHandler(b *testing.B) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	h := New(store.NewMemory(3, 10), Options{Log: slog.New(slog.NewTextHandler(null, nil)), AllowLoopback: true})
	const body = `{"name":"bob","ip":"192.0.2.1","port":"1","protocol":"tcp","timestamp":"1"}`
	put := func(id string) *http.Request {
		r := request("PUT", "/v1/peers/"+id, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	for _, id := range []string{"a", "b", "c"} {
		h.ServeHTTP(httptest.NewRecorder(), put(id))
	}
	b.Run("list", func(b *testing.B) {
		r := request("GET", "/v1/peers", nil)
		b.ReportAllocs()
		for b.Loop() {
			h.ServeHTTP(discard{http.Header{}}, r)
		}
	})
	b.Run("join", func(b *testing.B) {
		r := put("a")
		b.ReportAllocs()
		for b.Loop() {
			r.Body = io.NopCloser(strings.NewReader(body))
			h.ServeHTTP(discard{http.Header{}}, r)
		}
	})
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
