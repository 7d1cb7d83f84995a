package server

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"testing"

	"peerlab/bootstrap/store"
)

// TestServersShareWhatIsLarge counts what a server allocates that answers one
// request: a batch of simulations has thousands of them in one process.
func TestServersShareWhatIsLarge(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties every pool
	serveOnce := func() {
		h := New(store.NewMemory(2, 2), Options{})
		r := request(http.MethodGet, "/v1/peers", nil)
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Header().Get("Content-Encoding") != "gzip" {
			t.Fatalf("status %d, encoding %q", w.Code, w.Header().Get("Content-Encoding"))
		}
	}
	serveOnce()         // fills the pool
	const servers = 100 // under the race detector a pool drops a quarter of what it is given
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range servers {
		serveOnce()
	}
	runtime.ReadMemStats(&after)
	// One flate.Writer alone takes 800 KB.
	if each := (after.TotalAlloc - before.TotalAlloc) / servers; each > 600<<10 {
		t.Errorf("a server and its first compressed answer allocate %d KB, want at most 600", each>>10)
	}
}
