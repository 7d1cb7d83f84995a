package function

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"
	"go.uber.org/goleak"

	"peerlab/bootstrap/server/servertest"
)

// asFunction makes the test binary serve as the platform does: a main that
// imports the package and starts the framework.
const asFunction = "PEERLAB_TEST_AS_FUNCTION"

func TestMain(m *testing.M) {
	if os.Getenv(asFunction) != "" {
		if err := funcframework.StartHostPort("127.0.0.1", os.Getenv("PORT")); err != nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// TestAPI runs the whole suite against the function in the framework.
func TestAPI(t *testing.T) {
	servertest.API(t, func(t *testing.T) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		_ = l.Close() // the framework takes a number, no listener
		_, port, _ := net.SplitHostPort(addr)
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = []string{
			asFunction + "=1", "GOCOVERDIR=" + t.TempDir(), "FUNCTION_TARGET=" + Name, "PORT=" + port,
			"BOOTSTRAP_STORE=memory:", "BOOTSTRAP_MAX_PEERS=2", "BOOTSTRAP_MIN_REFILL_CANDIDATES=2", "BOOTSTRAP_ALLOW_LOOPBACK=true",
		}
		var log bytes.Buffer
		cmd.Stdout, cmd.Stderr = &log, &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // killed
			if t.Failed() {
				t.Logf("%s", &log)
			}
		})
		for deadline := time.Now().Add(20 * time.Second); ; {
			c, err := net.Dial("tcp", addr)
			if err == nil {
				_ = c.Close()
				return "http://" + addr
			}
			if time.Now().After(deadline) {
				t.Fatalf("the function does not come up: %v", err)
			}
		}
	})
}

func TestConfiguration(t *testing.T) {
	for _, test := range []struct {
		env    string
		status int
		logged string
	}{
		{"BOOTSTRAP_STORE=memory:", 200, ""},
		{"", 503, "want memory:"},
		{"BOOTSTRAP_STORE=memory: BOOTSTRAP_MAX_PEERS=x", 503, "BOOTSTRAP_MAX_PEERS"},
		{"BOOTSTRAP_STORE=memory: BOOTSTRAP_MAX_PEERS=-1", 503, "maxpeers is -1"},
		{"BOOTSTRAP_STORE=memory: BOOTSTRAP_TTL=x", 503, "BOOTSTRAP_TTL"},
		{"BOOTSTRAP_STORE=memory: BOOTSTRAP_TTL=-1s", 503, "3s to 24h"},
		{"BOOTSTRAP_STORE=memory: BOOTSTRAP_TTL=25h", 503, "3s to 24h"},
		{"BOOTSTRAP_STORE=memory: BOOTSTRAP_ADMIN_TOKEN=x", 503, "16 characters"},
		{"BOOTSTRAP_STORE=memory: BOOTSTRAP_READ_TOKEN=0123456789abcdef", 401, ""},
	} {
		vars := map[string]string{}
		for _, word := range strings.Fields(test.env) {
			name, value, _ := strings.Cut(word, "=")
			vars[name] = value
		}
		var log bytes.Buffer
		h := New(t.Context(), func(name string) string { return vars[name] }, slog.New(slog.NewTextHandler(&log, nil)))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/peers", nil))
		if w.Code != test.status || !strings.Contains(log.String(), test.logged) {
			t.Errorf("%q: %d, log %s", test.env, w.Code, &log)
		}
	}
}
