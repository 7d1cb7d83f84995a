package peer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"peerlab/bootstrap"
	"peerlab/bootstrap/server"
	"peerlab/bootstrap/store"
	"peerlab/event"
	"peerlab/peer"
	chatapp "peerlab/peer/chat/app"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is a bootstrap service that can be switched off.
type service struct {
	*httptest.Server
	down atomic.Bool
}

func startService(t *testing.T, maxPeers int) *service {
	t.Helper()
	s := &service{}
	h := server.NewHandler(store.NewMemory(maxPeers, 2), slog.New(slog.DiscardHandler))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.down.Load() {
			http.Error(w, "out of service", http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) list(t *testing.T) map[string]bootstrap.Peer {
	t.Helper()
	c, err := bootstrap.NewClient(s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdle()
	data, err := c.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return data.Peers
}

// running is a peer under test.
type running struct {
	*peer.Peer
	t    *testing.T
	stop context.CancelFunc // returns at once; the peer leaves
	done chan struct{}
	err  error // once done
}

func config(name string, s *service) peer.Config {
	chat := chatapp.New()
	chat.Config.Bind = "127.0.0.1:0"
	c := peer.Config{
		Name: name, App: chat, Bind: "127.0.0.1:0", Profile: "local", Rejoin: 200 * time.Millisecond,
		Set: []string{
			"ProbeInterval=200ms", "ProbeTimeout=150ms", "GossipInterval=20ms", "PushPullInterval=1s",
			"TCPTimeout=1s", "GossipToTheDeadTime=2s",
		},
	}
	if s != nil {
		c.Bootstrap = s.URL
	}
	return c
}

func start(t *testing.T, c peer.Config) *running {
	t.Helper()
	p, err := peer.New(c)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Peer: p, t: t, done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() {
		r.err = p.Run(ctx)
		close(r.done)
	}()
	t.Cleanup(func() {
		cancel()
		<-r.done
		if t.Failed() {
			events, _ := p.Events().Since(0)
			for _, e := range events {
				t.Logf("%s", e.Encode())
			}
		}
	})
	return r
}

// await waits for an event after the given number and returns it.
func (r *running) await(after uint64, what string, ok func(event.Event) bool) event.Event {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		events, err := r.Events().Read(ctx, after)
		if err != nil {
			r.t.Fatalf("%s never saw %s: %v", r.Name(), what, err)
		}
		for _, e := range events {
			if ok(e) {
				return e
			}
			after = e.Seq
		}
	}
}

func (r *running) awaitKind(kind event.Kind, member string) event.Event {
	r.t.Helper()
	return r.await(0, fmt.Sprintf("%s of %q", kind, member), func(e event.Event) bool {
		return e.Kind == kind && (member == "" || e.Member == member)
	})
}

// exec runs a line and returns its output.
func (r *running) exec(line string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var out bytes.Buffer
	err := r.Commands().RunLine(ctx, line, nil, &out)
	return out.String(), err
}

func (r *running) mustExec(line string) string {
	r.t.Helper()
	out, err := r.exec(line)
	if err != nil {
		r.t.Fatalf("%s: %q: %v", r.Name(), line, err)
	}
	return out
}

// cluster starts peers that have all seen each other in the chat.
func cluster(t *testing.T, s *service, names ...string) []*running {
	t.Helper()
	var peers []*running
	for _, name := range names {
		peers = append(peers, start(t, config(name, s)))
	}
	for _, p := range peers {
		p.awaitKind(event.PeerReady, "")
		for _, other := range peers {
			if other != p {
				p.awaitKind(event.ChatJoin, other.Name())
			}
		}
	}
	return peers
}

func TestClusterLives(t *testing.T) {
	s := startService(t, 2)
	peers := cluster(t, s, "alice", "bob", "charly", "dave", "erin")
	alice, bob, erin := peers[0], peers[1], peers[4]

	var members []struct{ Name, State, Addr string }
	if err := json.Unmarshal([]byte(bob.mustExec("members -format json")), &members); err != nil {
		t.Fatal(err)
	}
	if len(members) != 5 {
		t.Errorf("bob sees %v", members)
	}
	if n := len(s.list(t)); n != 2 {
		t.Errorf("%d peers are registered, want maxpeers, 2", n)
	}

	// A message reaches all, once, and its author learns who has it.
	out := alice.mustExec("msg -wait 'hello, everyone'")
	for _, p := range peers[1:] {
		if !strings.Contains(out, p.Name()) {
			t.Errorf("alice is not told that %s has it:\n%s", p.Name(), out)
		}
		e := p.awaitKind(event.ChatDelivered, "alice")
		if e.Text != "hello, everyone" || !strings.HasPrefix(e.Message, "alice/") {
			t.Errorf("%s got %+v", p.Name(), e)
		}
	}
	alice.mustExec("msg second")
	bob.await(0, "the second message", func(e event.Event) bool { return e.Kind == event.ChatDelivered && e.Text == "second" })
	if got := strings.Count(bob.mustExec("chat history"), "<alice> hello, everyone\n"); got != 1 {
		t.Errorf("bob was shown the message %d times", got)
	}

	var history []struct {
		Line, Kind, Author, ID, Text string
		T                            time.Time
	}
	if err := json.Unmarshal([]byte(bob.mustExec("chat history -format json")), &history); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range history {
		if e.Text == "second" {
			found = e.Line == "<alice> second" && e.Author == "alice" && e.Kind == "chat.delivered" && strings.HasPrefix(e.ID, "alice/") && !e.T.IsZero()
		}
	}
	if !found {
		t.Errorf("the history has no such message: %+v", history)
	}

	// erin leaves the chat but stays a member, and comes back.
	erin.mustExec("chat leave")
	left := alice.awaitKind(event.ChatLeave, "erin")
	if left.Reason != "leave" {
		t.Errorf("%+v", left)
	}
	if out, err := erin.exec("msg hello"); err == nil || !strings.Contains(err.Error(), "chat join first") {
		t.Errorf("a peer outside the chat can talk: %q, %v", out, err)
	}
	erin.mustExec("chat join")
	back := alice.await(left.Seq, "erin back", func(e event.Event) bool { return e.Kind == event.ChatJoin && e.Member == "erin" })
	if out := alice.mustExec("chat ping erin"); !strings.Contains(out, "erin") {
		t.Error(out)
	}

	// erin stops: everyone holds her left, and her place on the list is free.
	began := time.Now()
	erin.stop()
	<-erin.done
	if erin.err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("erin stopped with %v after %v", erin.err, time.Since(began))
	}
	for _, p := range peers[:4] {
		p.awaitKind(event.MemberLeft, "erin")
	}
	alice.await(back.Seq, "erin gone from the chat", func(e event.Event) bool {
		return e.Kind == event.ChatLeave && e.Member == "erin" && e.Reason == "leave"
	})
}

func TestPeerWaitsForTheService(t *testing.T) {
	s := startService(t, 2)
	s.down.Store(true)
	a, b := start(t, config("a", s)), start(t, config("b", s))
	a.awaitKind(event.BootstrapError, "")
	b.awaitKind(event.BootstrapError, "")
	if err := a.Ready(); err == nil || !strings.Contains(err.Error(), "not joined") {
		t.Errorf("ready without the service: %v", err)
	}
	s.down.Store(false)
	a.awaitKind(event.MemberJoin, "b")
	b.awaitKind(event.MemberJoin, "a")
	a.awaitKind(event.PeerReady, "")
}

func TestListOfTheDeadIsReplaced(t *testing.T) {
	s := startService(t, 2)
	c, err := bootstrap.NewClient(s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdle()
	for i, id := range []string{"gone-1", "gone-2"} {
		p := bootstrap.Peer{ID: id, Name: id, IP: "127.0.0.1", Port: fmt.Sprint(i + 1), Protocol: "tcp", Status: "0", Timestamp: "1"}
		if _, err := c.Join(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	a, b := start(t, config("a", s)), start(t, config("b", s))
	a.awaitKind(event.MemberJoin, "b")
	b.awaitKind(event.MemberJoin, "a")
}

func TestMembersReplaceADeadBootstrapPeer(t *testing.T) {
	s := startService(t, 1)
	first := start(t, config("first", s))
	first.awaitKind(event.PeerReady, "")
	second := start(t, config("second", s))
	first.awaitKind(event.MemberJoin, "second")
	first.stop()
	<-first.done
	second.awaitKind(event.MemberLeft, "first")
	// first took itself off the list; second takes its place.
	third := start(t, config("third", s))
	third.awaitKind(event.MemberJoin, "second")
}

func TestTakenNameStopsTheNewcomer(t *testing.T) {
	s := startService(t, 2)
	peers := cluster(t, s, "alice", "bob", "charly")
	second := start(t, config("bob", s))
	<-second.done
	if second.err == nil || !strings.Contains(second.err.Error(), "the name bob is taken by a live peer at 127.0.0.1:") {
		t.Fatalf("the second bob ended with %v", second.err)
	}
	// Nobody is disturbed: bob stays who he was, for all.
	peers[0].mustExec("msg -wait 'still there?'")
	for _, p := range peers {
		events, _ := p.Events().Since(0)
		for _, e := range events {
			if e.Member == "bob" && (e.Kind == event.MemberLeft || e.Kind == event.MemberDead || e.Kind == event.MemberSuspect) {
				t.Errorf("%s saw %s", p.Name(), e.Encode())
			}
		}
	}
}

func TestBadConfiguration(t *testing.T) {
	busy := start(t, config("busy", nil))
	addr := busy.awaitKind(event.MemberJoin, "busy").Addr
	for _, tc := range []struct {
		what   string
		change func(*peer.Config)
		want   string
	}{
		{"no name", func(c *peer.Config) { c.Name = "" }, "needs a name"},
		{"a name with a space", func(c *peer.Config) { c.Name = "a b" }, "letters, digits"},
		{"a name with a slash", func(c *peer.Config) { c.Name = "a/b" }, "letters, digits"},
		{"an unknown profile", func(c *peer.Config) { c.Profile = "moon" }, "lan, local, wan"},
		{"an unknown field", func(c *peer.Config) { c.Set = []string{"SuspicionMul=3"} }, "did you mean SuspicionMult"},
		{"a bootstrap URL that is none", func(c *peer.Config) { c.Bootstrap = "bootstrap:8080" }, "want http://HOST:PORT"},
		{"a negative rejoin", func(c *peer.Config) { c.Rejoin = -time.Second }, "0 to turn rejoin off"},
		{"a negative queue warning", func(c *peer.Config) { c.QueueWarning = -1 }, "or 0 for none"},
		{"a bind address without port", func(c *peer.Config) { c.Bind = "127.0.0.1" }, "HOST:PORT"},
		{"a chat address without port", func(c *peer.Config) { chatOf(c).Bind = "127.0.0.1" }, "HOST:PORT"},
		{"a membership port in use", func(c *peer.Config) { c.Bind = addr }, "choose another with --bind"},
		{"a chat port in use", func(c *peer.Config) { chatOf(c).Bind = addr }, "choose another with --chat-bind"},
	} {
		t.Run(tc.what, func(t *testing.T) {
			c := config("x", nil)
			tc.change(&c)
			p, err := peer.New(c)
			if err == nil {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				err = p.Run(ctx)
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tc.want)
			}
		})
	}
}

func TestBadLines(t *testing.T) {
	p := start(t, config("p", nil))
	p.awaitKind(event.PeerReady, "")
	for _, tc := range []struct{ line, want string }{
		{"membrs", "did you mean members"},
		{"members nobody", `knows no "nobody"`},
		{"members -status asleep", "use alive, suspect, dead, left"},
		{"members -format xml", "text or json"},
		{"members -what", "usage: members"},
		{"localnode now", "unexpected argument"},
		{"chat", "needs one of"},
		{"chat dance", "chat has"},
		{"chat ping nobody", "not in the chat"},
		{"chat join", "already"},
		{"msg", "too few arguments"},
		{"msg ''", "is empty"},
		{"members 'open", "unterminated quote"},
		{"msg \xff", "not valid UTF-8"},
		{"msg " + strings.Repeat("x", 40_000), "the limit is 32768"},
		{"msg " + strings.Repeat("x", 70_000), "the limit is 65536"},
		{"bootstrap list", "start the peer with --bootstrap"},
		{"events -n -1", "0 or more"},
	} {
		_, err := p.exec(tc.line)
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40q: error %.200v, want one line with %q", tc.line, err, tc.want)
		}
	}
}

func TestEventsFollow(t *testing.T) {
	p := start(t, config("p", nil))
	p.awaitKind(event.PeerReady, "")
	ctx, cancel := context.WithCancel(t.Context())
	out := &lines{want: `"text":"now"`, seen: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- p.Commands().RunLine(ctx, "events -n 1000 -follow", nil, out) }()
	p.mustExec("msg now")
	<-out.seen
	cancel()
	if err := <-done; err != nil {
		t.Errorf("an interrupted follow failed: %v", err)
	}
}

// lines notices a text among what is written to it.
type lines struct {
	want string
	seen chan struct{}
	once sync.Once

	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Write(b)
	if bytes.Contains(b, []byte(l.want)) {
		l.once.Do(func() { close(l.seen) })
	}
	return len(b), nil
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// A peer that comes back elsewhere after the others found it dead is not told
// that they refuse it: it must offer itself anew until they have forgotten.
func TestReturnElsewhere(t *testing.T) {
	s := startService(t, 1) // or the list brings it in
	slow := func(name string) peer.Config {
		c := config(name, s)
		c.Set = append(c.Set, "PushPullInterval=1h") // or chance brings it in
		return c
	}
	a := start(t, slow("a"))
	a.awaitKind(event.PeerReady, "")
	b := start(t, slow("b"))
	a.awaitKind(event.MemberJoin, "b")
	b.mustExec("exit")
	<-b.done
	a.awaitKind(event.MemberDead, "b")
	again := start(t, slow("b"))
	again.awaitKind(event.PeerReady, "")
	addr := again.awaitKind(event.MemberJoin, "b").Addr
	a.await(0, "b at "+addr, func(e event.Event) bool {
		return e.Kind == event.MemberJoin && e.Member == "b" && e.Addr == addr
	})
}
