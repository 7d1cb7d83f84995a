package membership_test

import (
	"context"
	"errors"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"peerlab/event"
	"peerlab/peer/membership"
	"peerlab/peer/membership/memberlistconfig"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fast are settings under which a death takes a fraction of a second.
var fast = []string{
	"ProbeInterval=50ms", "ProbeTimeout=20ms", "GossipInterval=10ms", "SuspicionMult=3",
	"PushPullInterval=500ms", "GossipToTheDeadTime=30s", "TCPTimeout=500ms",
}

type node struct {
	*membership.Membership
	events *event.Log
}

func start(t *testing.T, name string, settings ...string) node {
	t.Helper()
	return startAt(t, name, "127.0.0.1:0", settings...)
}

func startAt(t *testing.T, name, bind string, settings ...string) node {
	t.Helper()
	conf, err := memberlistconfig.Configure("local", append(slices.Clone(fast), settings...))
	if err != nil {
		t.Fatal(err)
	}
	n := node{events: event.NewLog(name, 1000)}
	n.Membership, err = membership.Create(membership.Options{
		Name: name, Config: conf, Bind: bind, Events: n.events, Meta: membership.Meta{"chat": ":1/1"},
		Mark: "chat",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Shutdown(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			events, _ := n.events.Since(0)
			for _, e := range events {
				t.Logf("%s", e.Encode())
			}
		}
	})
	return n
}

func (n node) join(t *testing.T, others ...node) {
	t.Helper()
	for _, o := range others {
		if _, err := n.Join(t.Context(), []string{o.Addr()}); err != nil {
			t.Fatal(err)
		}
	}
}

// await waits for an event and returns it.
func (n node) await(t *testing.T, what string, ok func(event.Event) bool) event.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var after uint64
	for {
		events, err := n.events.Read(ctx, after)
		if err != nil {
			t.Fatalf("%s never saw %s; its members are %+v", n.Name(), what, n.Members())
		}
		for _, e := range events {
			if ok(e) {
				return e
			}
			after = e.Seq
		}
	}
}

func (n node) awaitKind(t *testing.T, kind event.Kind, member string) event.Event {
	t.Helper()
	return n.await(t, string(kind)+" "+member, func(e event.Event) bool { return e.Kind == kind && e.Member == member })
}

func (n node) state(name string) membership.State {
	for _, m := range n.Members() {
		if m.Name == name {
			return m.State
		}
	}
	return ""
}

func TestStatesAreTold(t *testing.T) {
	a, b, c, d := start(t, "a"), start(t, "b"), start(t, "c"), start(t, "d")
	a.join(t, b, c, d)
	for _, n := range []node{a, b, c, d} {
		for _, other := range []node{a, b, c, d} {
			n.awaitKind(t, event.MemberJoin, other.Name())
		}
	}

	// d goes with a word, c without.
	if err := d.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.Shutdown(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []node{a, b} {
		if e := n.awaitKind(t, event.MemberLeft, "d"); e.Was != "alive" {
			t.Errorf("%s: %+v", n.Name(), e)
		}
	}
	if err := c.Shutdown(); err != nil {
		t.Fatal(err)
	}
	var suspected, died time.Time // by the first of them
	for _, n := range []node{a, b} {
		suspect := n.awaitKind(t, event.MemberSuspect, "c")
		dead := n.awaitKind(t, event.MemberDead, "c")
		if suspect.Was != "alive" || dead.Was != "suspect" || dead.Seq < suspect.Seq {
			t.Errorf("%s: suspect %+v, dead %+v", n.Name(), suspect, dead)
		}
		if suspected.IsZero() || suspect.Time.Before(suspected) {
			suspected = suspect.Time
		}
		if died.IsZero() || dead.Time.Before(died) {
			died = dead.Time
		}
	}
	// Floored to milliseconds by memberlist.
	if took := died.Sub(suspected); took < 149*time.Millisecond {
		t.Errorf("dead %s after the first suspicion, sooner than SuspicionMult*ProbeInterval", took)
	}
	for _, n := range []node{a, b} {
		if s := n.state("c"); s != membership.Dead {
			t.Errorf("%s holds c %q", n.Name(), s)
		}
	}
}

func TestHealthIsTold(t *testing.T) {
	a, b := start(t, "a"), start(t, "b")
	a.join(t, b)
	if err := b.Shutdown(); err != nil {
		t.Fatal(err)
	}
	// A probe that fails with nobody to ask for help is the prober's own fault.
	a.await(t, "its own health score rise", func(e event.Event) bool {
		return e.Kind == event.PeerHealth && e.Health > 0
	})
}

func TestTheDeadAreForgotten(t *testing.T) {
	a, b := start(t, "a", "GossipToTheDeadTime=100ms"), start(t, "b")
	a.join(t, b)
	a.awaitKind(t, event.MemberJoin, "b")
	if err := b.Shutdown(); err != nil {
		t.Fatal(err)
	}
	dead := a.awaitKind(t, event.MemberDead, "b")
	reaped := a.awaitKind(t, event.MemberReap, "b")
	if reaped.Was != "dead" || reaped.Seq < dead.Seq || a.state("b") != "" {
		t.Errorf("dead %+v, reaped %+v, now %q", dead, reaped, a.state("b"))
	}
}

// A member that comes back elsewhere between being reaped and the next poll is
// still told as reaped and joined: alive messages about it stream in, because
// the rest of the cluster was faster to take it in.
func TestReapIsToldBeforeTheReturn(t *testing.T) {
	a, b := start(t, "a", "GossipToTheDeadTime=100ms"), start(t, "b")
	a.join(t, b)
	a.awaitKind(t, event.MemberJoin, "b")
	if err := b.Shutdown(); err != nil {
		t.Fatal(err)
	}
	a.awaitKind(t, event.MemberDead, "b")
	again := start(t, "b")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for a.state("b") != membership.Alive {
		if _, err := again.Join(ctx, []string{a.Addr()}); err != nil {
			t.Fatal(err)
		}
	}
	reaped := a.awaitKind(t, event.MemberReap, "b")
	a.await(t, "b's return", func(e event.Event) bool {
		return e.Kind == event.MemberJoin && e.Member == "b" && e.Seq > reaped.Seq && e.Was == "" && e.Addr == again.Addr()
	})
}

func TestRefutationIsTold(t *testing.T) {
	a, b := start(t, "a"), start(t, "b")
	a.join(t, b)
	b.awaitKind(t, event.MemberJoin, "a")
	// A second life of b's name and address whom a holds at incarnation 1 would
	// be equal; raising b's incarnation by hand stands for any refutation.
	if err := b.Update(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := a.awaitKind(t, event.MemberRefute, "b")
	if e.Incarnation != 2 || e.Was != "alive" {
		t.Errorf("%+v, want incarnation 2", e)
	}
	b.awaitKind(t, event.MemberRefute, "b")
}

func TestMetadata(t *testing.T) {
	a, b := start(t, "a"), start(t, "b")
	a.join(t, b)
	b.awaitKind(t, event.MemberJoin, "a")
	if err := a.SetMeta(t.Context(), func(m membership.Meta) { m["role"] = "db" }); err != nil {
		t.Fatal(err)
	}
	b.awaitKind(t, event.MemberUpdate, "a")
	for _, m := range b.Members() {
		if m.Name == "a" && (m.Meta["role"] != "db" || m.Meta["chat"] != ":1/1") {
			t.Errorf("b sees %v", m.Meta)
		}
	}
	// memberlist panics on more than 512 bytes: the error must come first.
	err := a.SetMeta(t.Context(), func(m membership.Meta) { m["big"] = strings.Repeat("x", 512) })
	if err == nil || !strings.Contains(err.Error(), "carries 512") {
		t.Errorf("error %v", err)
	}
	if a.Meta()["big"] != "" {
		t.Error("the metadata that was refused is kept")
	}
	room := 512 - len(`{"chat":":1/1","k":"","role":"db"}`)
	if err := a.SetMeta(t.Context(), func(m membership.Meta) { m["k"] = strings.Repeat("x", room) }); err != nil {
		t.Errorf("512 bytes are refused: %v", err)
	}
}

func TestMarked(t *testing.T) {
	a, b, c := start(t, "a"), start(t, "b"), start(t, "c")
	b.join(t, a)
	c.join(t, a)
	a.awaitKind(t, event.MemberJoin, "b") // on a busy host c may be reported first
	a.awaitKind(t, event.MemberJoin, "c")
	if got := a.Marked(); got != 3 {
		t.Errorf("%d of three have the mark", got)
	}
	if err := b.SetMeta(t.Context(), func(m membership.Meta) { delete(m, "chat") }); err != nil {
		t.Fatal(err)
	}
	// On a busy host b may be held dead meanwhile: then a join tells of it, and no update.
	for end := time.Now().Add(30 * time.Second); a.Marked() != 2 && time.Now().Before(end); {
		<-time.After(10 * time.Millisecond)
	}
	if got := a.Marked(); got != 2 {
		t.Errorf("%d of two have the mark", got)
	}
	if err := c.Shutdown(); err != nil {
		t.Fatal(err)
	}
	a.awaitKind(t, event.MemberDead, "c")
	if got := a.Marked(); got != 1 {
		t.Errorf("%d have the mark that one has", got)
	}
}

func TestMissing(t *testing.T) {
	a, b, c := start(t, "a", "GossipToTheDeadTime=500ms"), start(t, "b"), start(t, "c")
	a.join(t, b, c)
	b.awaitKind(t, event.MemberJoin, "c")
	if got := a.Missing(); len(got) != 0 {
		t.Fatalf("missing %v while all are here", got)
	}
	if err := c.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	addr := b.Addr()
	_ = b.Shutdown()
	a.awaitKind(t, event.MemberLeft, "c")
	a.awaitKind(t, event.MemberDead, "b")
	if got := a.Missing(); !slices.Equal(got, []string{addr}) {
		t.Errorf("missing %v, want b at %s and not c, who left", got, addr)
	}
	// What memberlist forgets is still missed.
	a.awaitKind(t, event.MemberReap, "b")
	if got := a.Missing(); !slices.Equal(got, []string{addr}) {
		t.Errorf("missing %v after b is reaped", got)
	}
	// Back under its old name and address, found by contacting the missing.
	b2 := startAt(t, "b", addr)
	if _, err := a.Join(t.Context(), a.Missing()); err != nil {
		t.Fatal(err)
	}
	b2.awaitKind(t, event.MemberJoin, "a")
	if got := a.Missing(); len(got) != 0 {
		t.Errorf("missing %v after b is back", got)
	}
}

func TestJoinIsParallel(t *testing.T) {
	a, b := start(t, "a", "TCPTimeout=10s"), start(t, "b")
	// Listeners that never accept: a connection opens and nothing answers.
	var addrs []string
	for range 8 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	n, err := a.Join(ctx, append(addrs, b.Addr()))
	if n != 1 || err != nil {
		t.Errorf("joined %d, %v: one good address must do, whatever the others", n, err)
	}
	b.awaitKind(t, event.MemberJoin, "a")
	// Shutdown must not wait for the rest; goleak sees what would be left.
}

// A member that answers and does not fit is another thing than silence.
func TestJoinSaysWhetherSomebodyAnswered(t *testing.T) {
	a := start(t, "a")
	other := start(t, "b", "DelegateProtocolVersion=3", "DelegateProtocolMin=3", "DelegateProtocolMax=3")
	if _, err := other.Join(t.Context(), []string{a.Addr()}); !errors.Is(err, membership.ErrNotTaken) || !strings.Contains(err.Error(), "fit together") {
		t.Errorf("another protocol: %v", err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	if _, err := a.Join(t.Context(), []string{closed.Addr().String()}); !errors.Is(err, membership.ErrNobody) {
		t.Errorf("nobody: %v", err)
	}
}

// What another is answered meanwhile is no answer to this one.
func TestJoinOfASilentAddressWhileAnotherAnswers(t *testing.T) {
	a, b := start(t, "a"), start(t, "b")
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		_, err := a.Join(ctx, []string{silent.Addr().String()})
		failed <- err
	}()
	conn, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := a.Join(t.Context(), []string{b.Addr()}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-failed; !errors.Is(err, membership.ErrNobody) {
		t.Errorf("the silent one: %v", err)
	}
}

func TestTakenName(t *testing.T) {
	// Nobody is suspected, and the live holder has time to answer, on a busy host too.
	a, b := start(t, "a", "ProbeInterval=1h"), start(t, "b", "ProbeInterval=1h")
	a.join(t, b)
	second := start(t, "b", "ProbeInterval=1h", "ProbeTimeout=10s")
	second.join(t, a)
	if addr, stale := second.TakenAt(); addr != b.Addr() || stale {
		t.Errorf("taken at %q, stale %v, want %s", addr, stale, b.Addr())
	}
	a.awaitKind(t, event.MemberConflict, "b")
	// The first holder is undisturbed, and when it dies the conflict is stale.
	_ = second.Shutdown()
	if s := a.state("b"); s != membership.Alive {
		t.Errorf("a holds b %s", s)
	}
	third := start(t, "b", "ProbeInterval=1h")
	_ = b.Shutdown()
	third.join(t, a)
	if addr, stale := third.TakenAt(); addr != "" || !stale {
		t.Errorf("taken at %q, stale %v, want a stale conflict", addr, stale)
	}
}

func TestCreateSaysWhatIsWrong(t *testing.T) {
	busy := start(t, "busy")
	for _, tc := range []struct{ name, bind, advertise, want string }{
		{"two words", "127.0.0.1:0", "", "holds ' '"},
		{"x", "127.0.0.1", "", "write HOST:PORT"},
		{"x", "localhost:0", "", "no IP address"},
		{"x", "127.0.0.1:99999", "", "no port"},
		{"x", "127.0.0.1:0", "nowhere", "write HOST:PORT"},
		{"x", busy.Addr(), "", "is in use"},
	} {
		conf, err := memberlistconfig.Configure("local", nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := membership.Create(membership.Options{
			Name: tc.name, Config: conf, Bind: tc.bind, Advertise: tc.advertise, Events: event.NewLog("x", 1),
		})
		if err == nil {
			_ = m.Shutdown()
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q at %q: error %v, want %q", tc.name, tc.bind, err, tc.want)
		}
	}
}

// The private table is read as v0.7.0 lays it out.
func TestMemberlistVersionIsPinned(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("table.go")
	if err != nil {
		t.Fatal(err)
	}
	required := regexp.MustCompile(`hashicorp/memberlist (v\S+)`).FindSubmatch(mod)
	known := regexp.MustCompile(`memberlistVersion = "(v\S+)"`).FindSubmatch(table)
	if required == nil || known == nil || string(required[1]) != string(known[1]) {
		t.Errorf("go.mod requires %s, table.go reads %s: compare the private types of the two first, and read docs/memberlist.md again", required, known)
	}
}
