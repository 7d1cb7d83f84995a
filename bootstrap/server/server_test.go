package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"peerlab/bootstrap/store"
)

// failing is a store that fails or panics.
type failing struct {
	store.Store
	err error
}

func (f failing) View(context.Context) (store.State, error) {
	if f.err == nil {
		panic("view")
	}
	return store.State{}, f.err
}

func (f failing) Update(ctx context.Context, _ func(*store.State) error) (store.State, error) {
	return f.View(ctx)
}

func TestFailingStore(t *testing.T) {
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, nil))
	h := NewHandler(failing{err: errors.New("disk of host db-1 is full")}, log)
	for _, path := range []string{"/join", "/list", "/reset", "/readyz", "/"} {
		method := http.MethodGet
		if path == "/reset" {
			method = http.MethodPost
		}
		w := ask(h, method, path, bob)
		if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "disk") || strings.Count(w.Body.String(), "\n") != 1 {
			t.Errorf("%s: status %d, %q", path, w.Code, w.Body)
		}
		if !strings.Contains(logged.String(), "disk of host db-1 is full") {
			t.Errorf("%s: the cause is not in the log: %s", path, &logged)
		}
		logged.Reset()
	}
}

func TestAliveWithoutItsStore(t *testing.T) {
	h := NewHandler(failing{err: errors.New("x")}, quiet)
	if w := ask(h, http.MethodGet, "/healthz", ""); w.Code != http.StatusOK {
		t.Errorf("/healthz: status %d: a restart does not bring the store back", w.Code)
	}
	w := ask(h, http.MethodGet, "/metrics", "")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "bootstrap_store_up 0") {
		t.Errorf("/metrics: status %d, %s", w.Code, w.Body)
	}
}

func TestPanicStaysInside(t *testing.T) {
	var logged bytes.Buffer
	h := NewHandler(failing{}, slog.New(slog.NewTextHandler(&logged, nil)))
	w := ask(h, http.MethodPost, "/list", "")
	if w.Code != http.StatusInternalServerError || w.Body.String() != "internal error\n" {
		t.Errorf("status %d, %q", w.Code, w.Body)
	}
	if text := logged.String(); !strings.Contains(text, "panic=view") || !strings.Contains(text, "status=500") {
		t.Errorf("log: %s", text)
	}
}

func TestAccessLog(t *testing.T) {
	var logged bytes.Buffer
	h := NewHandler(store.NewMemory(2, 2), slog.New(slog.NewTextHandler(&logged, nil)))
	ask(h, http.MethodPost, "/join", bob)
	ask(h, http.MethodGet, "/no%0a%1b[2Jpath", "")
	w := ask(h, http.MethodGet, "/healthz", "")
	if w.Code != http.StatusOK || w.Body.String() != "ok\n" {
		t.Errorf("/healthz: status %d, %q", w.Code, w.Body)
	}
	if w := ask(h, http.MethodGet, "/readyz", ""); w.Code != http.StatusOK {
		t.Errorf("/readyz: status %d, %q", w.Code, w.Body)
	}
	lines := strings.Split(strings.TrimSpace(logged.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("want one line each for two requests and none for the health check, got:\n%s", &logged)
	}
	for _, want := range []string{"msg=request method=POST path=/join status=200 bytes=", "remote=192.0.2.1:1234"} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("%q is not in %s", want, lines[0])
		}
	}
	if !strings.Contains(lines[1], "status=404") || strings.Contains(lines[1], "\x1b") {
		t.Errorf("log: %s", lines[1])
	}
}

// pipes is a listener without a network, for virtual time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes {
	return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 8080} }

// serving runs Serve in the bubble of a synctest. stop ends it and returns
// what it returned and how long that took.
func serving(t *testing.T, h http.Handler) (l *pipes, stop func() (time.Duration, error)) {
	l = newPipes()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Serve(ctx, l, h, quiet) }()
	return l, func() (time.Duration, error) {
		begin := time.Now()
		cancel()
		err := <-done
		return time.Since(begin), err
	}
}

const joinHead = "POST /join HTTP/1.1\r\nHost: x\r\nContent-Length: 77\r\n\r\n"

func TestSlowClientsAreCut(t *testing.T) {
	tests := []struct {
		name, sent string
		after      time.Duration
		answer     string
	}{
		{"says nothing", "", headerTimeout, ""},
		{"half a header", "POST /join HTTP/1.1\r\nHo", headerTimeout, ""},
		{"half a body", joinHead + "id bob", readTimeout, "408 Request Timeout"},
		{"nothing after an answer", "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n", idleTimeout, "200 OK"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, stop := serving(t, NewHandler(store.NewMemory(2, 2), quiet))
				c := l.dial()
				defer c.Close()
				begin := time.Now()
				go func() { _, _ = io.WriteString(c, test.sent) }()
				answer, err := io.ReadAll(c)
				took := time.Since(begin)
				if err != nil || took < test.after || took > test.after+time.Second {
					t.Errorf("cut after %v, %v, want %v", took, err, test.after)
				}
				if !strings.Contains(string(answer), test.answer) {
					t.Errorf("answer %q, want %q", answer, test.answer)
				}
				if took, err := stop(); err != nil || took > time.Second {
					t.Errorf("stopped after %v: %v", took, err)
				}
			})
		})
	}
}

func TestHugeHeaderIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := serving(t, NewHandler(store.NewMemory(2, 2), quiet))
		c := l.dial()
		defer c.Close()
		go func() {
			_, _ = fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: x\r\n\r\n", strings.Repeat("x", 64<<10))
		}()
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.Contains(line, "431") {
			t.Errorf("answer %q, %v", line, err)
		}
		if _, err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// hanging answers OK after the given time, or when its client is cut.
func hanging(d time.Duration, arrived chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		select {
		case <-time.After(d):
			_, _ = io.WriteString(w, "OK")
		case <-r.Context().Done():
		}
	}
}

func TestShutdown(t *testing.T) {
	tests := []struct {
		name    string
		takes   time.Duration // the request under way
		stopped time.Duration
		answer  bool
	}{
		{"waits for a request under way", 3 * time.Second, 3 * time.Second, true},
		{"cuts one that takes too long", time.Hour, Grace, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				arrived := make(chan struct{})
				l, stop := serving(t, hanging(test.takes, arrived))
				c := l.dial()
				defer c.Close()
				answer := make(chan string)
				go func() {
					_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
					b, _ := io.ReadAll(c) // the answer tells whether it was cut
					answer <- string(b)
				}()
				<-arrived
				go func() {
					if got := <-answer; strings.HasSuffix(got, "OK") != test.answer {
						t.Errorf("answer %q, want one: %t", got, test.answer)
					}
				}()
				took, err := stop()
				// Shutdown looks only now and then whether it is done.
				if err != nil || took < test.stopped || took > test.stopped+time.Second {
					t.Errorf("stopped after %v, %v, want %v", took, err, test.stopped)
				}
				select {
				case <-l.closed:
				default:
					t.Error("the listener is open")
				}
				synctest.Wait()
			})
		})
	}
}

func TestServeFailure(t *testing.T) {
	l := newPipes()
	_ = l.Close() // always nil
	err := Serve(t.Context(), l, http.NotFoundHandler(), quiet)
	if !errors.Is(err, net.ErrClosed) || !strings.HasPrefix(err.Error(), "serve on 192.0.2.1:8080: ") {
		t.Errorf("error %v", err)
	}
}
