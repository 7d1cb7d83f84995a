package server

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"peerlab/bootstrap"
	"peerlab/bootstrap/store"
)

// BenchmarkRenewal is one renewal among as many peers as there can be,
// answered with all of them, compressed as for net/http's clients, and without.
func BenchmarkRenewal(b *testing.B) {
	s := store.NewMemory(bootstrap.Limit, 2)
	h := New(s, Options{})
	if _, err := s.Update(b.Context(), func(s *store.State) error {
		for i := range bootstrap.Limit {
			p := bootstrap.Peer{ID: fmt.Sprintf("71c3c0ea-e1bd-4112-97ac-1cfeeaa%05d", i), Name: fmt.Sprint("peer", i), IP: "192.0.2.1", Port: "7946", Protocol: "tcp", Timestamp: fmt.Sprint(1_700_000_000 + i)}
			s.Register(store.NewEntry(p, "", time.Now(), time.Hour))
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	const body = `{"name":"peer7","ip":"192.0.2.1","port":"7946","protocol":"tcp","timestamp":"1700000007"}`
	for _, prefer := range []string{"return=representation", "return=minimal"} {
		b.Run(prefer, func(b *testing.B) {
			r := request("PUT", "/v1/peers/71c3c0ea-e1bd-4112-97ac-1cfeeaa00007", nil)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Accept-Encoding", "gzip")
			r.Header.Set("Prefer", prefer)
			b.ReportAllocs()
			for b.Loop() {
				r.Body = io.NopCloser(strings.NewReader(body))
				h.ServeHTTP(discard{http.Header{}}, r)
			}
		})
	}
}
