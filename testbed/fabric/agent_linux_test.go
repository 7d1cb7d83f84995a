package fabric

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netns"

	"peerlab/internal/peercred"
)

// serve runs an agent that a client can talk to.
func serve(t testing.TB, l *lab) (*Client, *Agent, <-chan error) {
	t.Helper()
	socket := SocketOf(strings.ReplaceAll(t.Name(), "/", "-"))
	a, err := NewAgent(Config{Lab: "test", Bridge: bridge, namespace: int(l.host)})
	must(t, err)
	listener, err := Listen(socket, os.Getuid(), slog.New(slog.DiscardHandler))
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- a.Serve(ctx, listener)
		close(ended)
	}()
	c := NewClient(socket)
	t.Cleanup(func() {
		c.Close()
		stop()
		must(t, <-ended)
	})
	must(t, c.Wait(t.Context()))
	return c, a, ended
}

// tables lists the tables of the bridge family in a namespace.
func tables(t testing.TB, ns netns.NsHandle) (names []string) {
	t.Helper()
	conn, err := nftables.New(nftables.WithNetNSFd(int(ns)))
	must(t, err)
	all, err := conn.ListTablesOfFamily(nftables.TableFamilyBridge)
	must(t, err)
	for _, table := range all {
		names = append(names, table.Name)
	}
	return names
}

func TestClient(t *testing.T) {
	l := newLab(t, 2)
	c, _, _ := serve(t, l)
	ctx := t.Context()
	m := Matrix{l.pair(0, 1): {Drop: DropUDP, Loss: 12.5, Over: 1300}, l.pair(1, 0): {Drop: DropAll}}
	apply(ctx, t, c, m, time.Minute)
	s, err := c.Status(ctx)
	must(t, err)
	if s.Lab != "test" || s.Bridge != bridge || len(s.Matrix) != 2 || s.Matrix[l.pair(0, 1)] != m[l.pair(0, 1)] ||
		s.Applied.IsZero() || time.Until(s.Until) < 30*time.Second {
		t.Errorf("status %+v", s)
	}
	must(t, c.Renew(ctx))
	alice, bob := l.udp(t, 0), l.udp(t, 1)
	_, err = alice.WriteTo([]byte("x"), bob.LocalAddr())
	must(t, err)
	eventually(t, "the packet is counted", func() bool {
		counts, err := c.Counters(ctx)
		must(t, err)
		return counts[l.pair(0, 1)] == Count{Packets: 1, Bytes: 29, Dropped: 1}
	})
	features, err := c.Features(ctx)
	must(t, err)
	if len(features) != 5 || features[0].Name != "nf_tables" || features[0].Missing != "" {
		t.Errorf("features %+v", features)
	}
	must(t, c.Clear(ctx))
	if err := c.Renew(ctx); !errors.Is(err, ErrLapsed) {
		t.Errorf("renew after clear: %v", err)
	}
	bad := Matrix{l.pair(0, 1): {Loss: 120, Shape: Shape{Delay: -time.Millisecond}}}
	_, err = c.Apply(ctx, bad, 0)
	for _, want := range []string{"links[10.77.0.1 -> 10.77.0.2].loss: 120 % is not within 0 and 100", ".delay: -1ms is not within"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	if _, err := c.Apply(ctx, m, time.Millisecond); err == nil || !strings.Contains(err.Error(), "lease: 1ms is not within") {
		t.Errorf("lease of a millisecond: %v", err)
	}
	missing := NewClient("@peerlab-nobody")
	if err := missing.Clear(ctx); err == nil || err.Error() != "fabric: clear: no agent listens on @peerlab-nobody" {
		t.Errorf("no agent: %v", err)
	}
}

func TestRulesEndWithTheirLease(t *testing.T) {
	l := newLab(t, 2)
	c, a, _ := serve(t, l)
	m := Matrix{l.pair(0, 1): {Drop: DropAll}}
	const lease = 400 * time.Millisecond

	// Held, they stay; another matrix while they are held does not matter.
	ctx, stop := context.WithCancel(t.Context())
	apply(ctx, t, c, m, lease)
	held := make(chan error, 1)
	go func() { held <- c.Hold(ctx) }()
	for end := time.Now().Add(3 * lease); time.Now().Before(end); {
		if a.status().Applied.IsZero() {
			t.Fatal("rules that are held are gone")
		}
		apply(ctx, t, c, m, lease)
	}
	stop()
	must(t, <-held)

	// Then the lab is dead, and they go by themselves.
	eventually(t, "the rules are gone", func() bool { return !a.status().Lapsed.IsZero() })
	if s := a.status(); len(s.Matrix) != 0 || !s.Applied.IsZero() {
		t.Errorf("in force: %+v", s)
	}
	alice, bob := l.udp(t, 0), l.udp(t, 1)
	meet(t, alice, bob)

	// Who comes back too late is told.
	if err := c.Hold(t.Context()); !errors.Is(err, ErrLapsed) {
		t.Errorf("hold: %v", err)
	}
	// Without a lease they stay until they are cleared.
	apply(t.Context(), t, c, m, 0)
	if s := a.status(); !s.Until.IsZero() || !s.Lapsed.IsZero() || s.Applied.IsZero() {
		t.Errorf("without a lease: %+v", s)
	}
}

func TestChangesAreTold(t *testing.T) {
	l := newLab(t, 2)
	type change struct {
		links int
		at    time.Time
	}
	told := make(chan change, 10)
	a, err := NewAgent(Config{Lab: "test", Bridge: bridge, namespace: int(l.host), Changed: func(m Matrix, at time.Time) {
		told <- change{len(m), at}
	}})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	defer func() { stop(); must(t, <-ended) }()

	done, err := a.apply(Matrix{l.pair(0, 1): {Drop: DropAll}}, 100*time.Millisecond)
	must(t, err)
	if c := <-told; c.links != 1 || !c.at.Equal(done.At) {
		t.Errorf("applied at %s, told %+v", done.At, c)
	}
	if c := <-told; c.links != 0 || !c.at.Equal(a.status().Lapsed) {
		t.Errorf("lapsed at %s, told %+v", a.status().Lapsed, c)
	}
	if _, err := a.apply(Matrix{}, -1); err == nil || len(told) > 0 {
		t.Errorf("what is refused is told: %d, %v", len(told), err)
	}
}

func TestAgentEndsWithItsBridge(t *testing.T) {
	l := newLab(t, 2)
	c, _, ended := serve(t, l)
	apply(t.Context(), t, c, Matrix{l.pair(0, 1): {Drop: DropAll}}, 0)
	h := handle(t, l.host)
	must(t, h.LinkDel(link(t, h, bridge)))
	select {
	case err := <-ended:
		must(t, err)
	case <-time.After(deadline):
		t.Fatal("the agent goes on without a bridge")
	}
	if left := tables(t, l.host); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestOneAgentPerLab(t *testing.T) {
	l := newLab(t, 0)
	l.agent(t)
	_, err := NewAgent(Config{Lab: "test", Bridge: bridge, namespace: int(l.host)})
	if err == nil || !strings.Contains(err.Error(), "only one agent can hold a lab") {
		t.Errorf("a second agent: %v", err)
	}
	if _, err := NewAgent(Config{Lab: "other", Bridge: "br-none", namespace: int(l.host)}); err == nil || !strings.Contains(err.Error(), "bridge br-none") {
		t.Errorf("no bridge: %v", err)
	}
	for _, lab := range []string{"", "a b", "a;b", strings.Repeat("x", 65)} {
		if _, err := NewAgent(Config{Lab: lab, Bridge: bridge}); err == nil {
			t.Errorf("lab %q is accepted", lab)
		}
	}
}

// asAgent makes the test binary an agent that is there to be killed.
const asAgent = "FABRIC_AS_AGENT"

func TestMurderedAgent(t *testing.T) {
	if os.Getenv(asAgent) != "" {
		self, err := netns.Get()
		must(t, err)
		defer self.Close()
		l := &lab{host: self, peers: []peer{{addr: addr(0)}, {addr: addr(1)}}}
		a := l.agent(t)
		_, err = a.apply(Matrix{l.pair(0, 1): {Drop: DropAll}}, 0)
		must(t, err)
		// Queues too, by hand: what is on the port need not be in the matrix.
		h := handle(t, self)
		_, err = a.shaper.ensure(link(t, h, "port0").Attrs().Index, queueKey{shape: Shape{Rate: 1e6}})
		must(t, err)
		_, err = os.Stdout.WriteString("ready\n")
		must(t, err)
		select {}
	}
	if os.Getenv(insideVM) != "" {
		t.Skip("init cannot start itself")
	}
	l := newLab(t, 1)
	var cmd *exec.Cmd
	var out io.Reader
	within(t, l.host, func() (err error) {
		cmd = exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestMurderedAgent$")
		cmd.Env = append(os.Environ(), asAgent+"=1")
		if out, err = cmd.StdoutPipe(); err != nil {
			return err
		}
		return cmd.Start()
	})
	buf := make([]byte, 6)
	_, err := io.ReadFull(out, buf)
	must(t, err)
	if got := tables(t, l.host); len(got) != 1 {
		t.Fatalf("tables of the agent: %v", got)
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	// The kernel removes the table with the socket, in its own time.
	eventually(t, "the table is gone with the agent", func() bool { return len(tables(t, l.host)) == 0 })
	// Queues stay, unused; the next agent removes them.
	l.agent(t)
	h := handle(t, l.host)
	qdiscs, err := h.QdiscList(link(t, h, "port0"))
	must(t, err)
	for _, q := range qdiscs {
		if q.Type() != "noqueue" {
			t.Errorf("%s is left", q.Type())
		}
	}
}

func TestSocketOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.sock")
	l, err := Listen(path, os.Getuid(), slog.New(slog.DiscardHandler))
	must(t, err)
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			_ = conn.Close()
		}
	}()
	conn, err := net.Dial("unix", path)
	must(t, err)
	defer conn.Close()
	must(t, peercred.Verify(conn, os.Getuid()))
	if _, err := Listen(path, 0, nil); err == nil || !strings.Contains(err.Error(), "is another agent running") {
		t.Errorf("twice: %v", err)
	}
}

// asStranger makes the test binary connect to a socket that is not for it.
const asStranger = "FABRIC_AS_STRANGER"

func TestStrangersAreRefused(t *testing.T) {
	if socket := os.Getenv(asStranger); socket != "" {
		conn, err := net.Dial("unix", socket)
		must(t, err)
		defer conn.Close()
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Error("a stranger is let in")
		}
		return
	}
	if os.Getuid() != 0 || os.Getenv(insideVM) != "" {
		t.Skip("it takes root to be somebody else")
	}
	socket := SocketOf(t.Name())
	l, err := Listen(socket, 0, slog.New(slog.DiscardHandler))
	must(t, err)
	accepted := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			err = errors.Join(errors.New("somebody is let in"), conn.Close())
		}
		accepted <- err
	}()
	stranger := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestStrangersAreRefused$")
	stranger.Env = append(os.Environ(), asStranger+"="+socket)
	stranger.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	stranger.Dir = "/"
	if output, err := stranger.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	must(t, l.Close())
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestHandlerRefuses(t *testing.T) {
	l := newLab(t, 0)
	_, a, _ := serve(t, l)
	for _, test := range []struct {
		method, path, body string
		want               int
	}{
		{"PUT", "/v1/matrix?lease=10s", `{"not":"a list"}`, 400},
		{"PUT", "/v1/matrix?lease=10s", `[{"from":"10.0.0.1","to":["10.0.0.2","10.0.0.2"]}]`, 400},
		{"PUT", "/v1/matrix?lease=10s", `[{"from":"10.0.0.1","to":["10.0.0.2"],"drop":"icmp"}]`, 400},
		{"PUT", "/v1/matrix?lease=10s", `[{"from":"10.0.0.1","to":["::1"],"drop":"all"}]`, 400},
		{"PUT", "/v1/matrix", `[]`, 400},
		{"PUT", "/v1/matrix?lease=0s", `[]`, 200},
		{"POST", "/v1/renew?id=", ``, 410},
		{"GET", "/v1/matrix", ``, 405},
		{"GET", "/", ``, 404},
	} {
		r, err := http.NewRequest(test.method, test.path, strings.NewReader(test.body))
		must(t, err)
		w := &recorder{header: make(http.Header)}
		a.Handler().ServeHTTP(w, r)
		if w.status != test.want {
			t.Errorf("%s %s %s: %d, want %d", test.method, test.path, test.body, w.status, test.want)
		}
	}
}

type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return len(p), nil }

// The figure that counts: from call to acknowledgement, a matrix of 2,500
// pairs in force already.
func BenchmarkApply(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(1000)) // as in the agent's program
	l := newLab(b, 0)
	c, _, _ := serve(b, l)
	for name, link := range map[string]Link{"cut": {Drop: DropAll}, "loss": {Loss: 30}} {
		b.Run(name, func(b *testing.B) {
			m := make(Matrix)
			for i := range 50 {
				for j := range 50 {
					m[Pair{addr(i), addr(50 + j)}] = link
				}
			}
			apply(b.Context(), b, c, m, 0)
			for b.Loop() {
				apply(b.Context(), b, c, m, 0)
			}
		})
	}
}

func apply(ctx context.Context, t testing.TB, c *Client, m Matrix, lease time.Duration) {
	t.Helper()
	_, err := c.Apply(ctx, m, lease)
	must(t, err)
}
