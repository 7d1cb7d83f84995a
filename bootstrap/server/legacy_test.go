package server

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"peerlab/bootstrap/server/servertest"
	"peerlab/bootstrap/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

const bob = "71c3c0ea-e1bd-4112-97ac-1cfeeaa07bc3 bob 127.0.0.1 56471 tcp 0 1557509977"

// ask sends one request to h without a network.
func ask(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request(method, path, strings.NewReader(body)))
	return w
}

// request is one as a peer sends it: it calls the service by its address.
func request(method, path string, body io.Reader) *http.Request {
	r := httptest.NewRequest(method, path, body)
	r.Host = "192.0.2.1:8080"
	return r
}

func TestAPI(t *testing.T) {
	servertest.API(t, func(t *testing.T) string {
		srv := httptest.NewServer(NewHandler(store.NewMemory(2, 2), quiet))
		t.Cleanup(srv.Close)
		return srv.URL
	})
}

func TestBrokenBody(t *testing.T) {
	h := NewHandler(store.NewMemory(2, 2), quiet)
	for _, test := range []struct {
		err    error
		status int
	}{
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, http.StatusRequestTimeout},
		{io.ErrUnexpectedEOF, http.StatusBadRequest},
		{errors.New("x"), http.StatusBadRequest},
	} {
		body := io.MultiReader(strings.NewReader(bob), brokenReader{test.err})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request(http.MethodPost, "/join", body))
		if w.Code != test.status {
			t.Errorf("%v: status %d, want %d", test.err, w.Code, test.status)
		}
	}
	if got := ask(h, http.MethodPost, "/list", "").Body.String(); got != "{\n  \"Config\": {\n    \"maxpeers\": 2,\n    \"minrefillcandidates\": 2\n  },\n  \"Peers\": {}\n}" {
		t.Errorf("half a request left\n%s", got)
	}
}

type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }
