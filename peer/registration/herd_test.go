package registration

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"peerlab/bootstrap"
	"peerlab/bootstrap/server"
	"peerlab/bootstrap/store"
	"peerlab/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster is many members whose gossip arrives late, and a service whose
// requests are counted. It runs in virtual time.
type cluster struct {
	t       *testing.T
	handler http.Handler
	members []*member
	cancels []context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	dead  map[string]bool // addresses at which nobody answers
	down  bool            // the service
	count map[string]int  // requests by method and path
}

// member is one of them: a Registrar and what gossip has told it.
type member struct {
	cluster   *cluster
	registrar *Registrar

	mu      sync.Mutex
	view    map[string]Member
	changed chan struct{}
}

func newCluster(t *testing.T, n, maxPeers int) *cluster {
	c := &cluster{t: t, dead: map[string]bool{}, count: map[string]int{}}
	c.handler = server.New(store.NewMemory(maxPeers, 2), server.Options{Dial: func(_ context.Context, addr string) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.dead[addr] {
			return io.EOF
		}
		return nil
	}})
	begin := time.Now()
	for i := range n {
		name := fmt.Sprintf("peer%03d", i)
		started := begin.Add(time.Duration(i-n) * time.Second) // the first is the oldest
		addr := net.JoinHostPort(fmt.Sprintf("10.0.%d.%d", i/250, i%250+1), "7946")
		client, err := bootstrap.NewClient("http://bootstrap", sender{c, addr})
		if err != nil {
			t.Fatal(err)
		}
		registrar, err := New(Options{
			Clients: []*bootstrap.Client{client}, Name: name, Addr: addr,
			Started: started, Events: event.NewLog(name, 10),
		})
		if err != nil {
			t.Fatal(err)
		}
		c.members = append(c.members, &member{cluster: c, registrar: registrar, view: map[string]Member{}, changed: make(chan struct{})})
	}
	for _, m := range c.members {
		for i, other := range c.members {
			self := other.registrar.Self()
			m.view[self.Name] = Member{Name: self.Name, Addr: self.Addr(), Online: true, Started: begin.Add(time.Duration(i-n) * time.Second).Unix()}
		}
		if _, err := m.registrar.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		c.cancels = append(c.cancels, cancel)
		c.running.Go(func() { m.registrar.Maintain(ctx, m) })
	}
	return c
}

// sender hands a member's requests to the service.
type sender struct {
	*cluster
	addr string // of the member
}

func (c sender) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.count[r.Method+" "+r.URL.Path]++
	c.count["all"]++
	down := c.down
	c.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if down {
		return nil, io.ErrUnexpectedEOF
	}
	w := httptest.NewRecorder()
	req := httptest.NewRequest(r.Method, r.URL.String(), bytes.NewReader(body)).WithContext(r.Context())
	req.Header, req.RemoteAddr = r.Header, c.addr
	c.handler.ServeHTTP(w, req)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count["peers in answers"] += strings.Count(w.Body.String(), `"timestamp"`)
	return w.Result(), nil
}

func (c *cluster) requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count["all"]
}

// gossip tells everyone a change, each after a delay of its own.
func (c *cluster) gossip(name string, change func(*Member)) {
	for _, m := range c.members {
		time.AfterFunc(rand.N(800*time.Millisecond), func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			v := m.view[name]
			change(&v)
			m.view[name] = v
			close(m.changed)
			m.changed = make(chan struct{})
		})
	}
}

// kill ends a member, which answers no longer and is found dead.
func (c *cluster) kill(i int) {
	c.cancels[i]()
	self := c.members[i].registrar.Self()
	c.mu.Lock()
	c.dead[self.Addr()] = true
	c.mu.Unlock()
	c.gossip(self.Name, func(m *Member) { m.Online = false })
}

func (c *cluster) listed() map[string]bool {
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, httptest.NewRequest("GET", "http://bootstrap/list", nil))
	d, err := bootstrap.Decode(w.Body.Bytes())
	if err != nil {
		c.t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, p := range d.Peers {
		names[p.Name] = true
	}
	return names
}

func (c *cluster) end() {
	for _, cancel := range c.cancels {
		cancel()
	}
	c.running.Wait()
	time.Sleep(time.Second) // the last gossip
}

func (m *member) Members() []Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Member, 0, len(m.view))
	for _, v := range m.view {
		all = append(all, v)
	}
	return all
}

func (m *member) Count() (online, registered int) {
	for _, v := range m.Members() {
		if v.Online {
			online++
			if v.ID != "" {
				registered++
			}
		}
	}
	return online, registered
}

func (m *member) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

func (m *member) Announce(_ context.Context, id string) error {
	m.cluster.gossip(m.registrar.Self().Name, func(m *Member) { m.ID = id })
	return nil
}

// TestNoHerd counts the requests that the loss of bootstrap peers costs: one
// for each that is lost, whatever the size of the cluster.
func TestNoHerd(t *testing.T) {
	const maxPeers = 3
	for _, n := range []int{5, 50, 500} {
		for _, lost := range []int{1, 2} {
			t.Run(fmt.Sprintf("%d peers lose %d", n, lost), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newCluster(t, n, maxPeers)
					defer c.end()
					time.Sleep(5 * time.Second)
					// The first to ask were the first to register.
					before := c.requests()
					if before > n+maxPeers {
						t.Errorf("%d requests to start %d peers", before, n)
					}
					for i := range lost {
						c.kill(i)
					}
					time.Sleep(10 * time.Second) // before anyone renews
					got := c.requests() - before
					t.Logf("%d peers, %d of %d bootstrap peers lost: %d requests", n, lost, maxPeers, got)
					if got < 1 || got > 2*maxPeers {
						t.Errorf("%d requests, want %d, and never more than %d", got, lost, 2*maxPeers)
					}
					names := c.listed()
					for i := lost; i < lost+maxPeers; i++ {
						if !names[fmt.Sprintf("peer%03d", i)] {
							t.Errorf("the longest-running are not on the list: %v", names)
						}
					}
				})
			})
		}
	}
}

// TestNoHerdWithoutTheService: while it is down only as many try as there are
// places, twice, and when it is back the places are filled.
func TestNoHerdWithoutTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, maxPeers = 50, 3
		c := newCluster(t, n, maxPeers)
		defer c.end()
		time.Sleep(5 * time.Second)
		before := c.requests()
		c.mu.Lock()
		c.down = true
		c.mu.Unlock()
		c.kill(0)
		time.Sleep(time.Minute)
		c.mu.Lock()
		asked := c.count["POST /v1/refill"]
		c.down = false
		c.mu.Unlock()
		if asked < 1 || asked > 2*maxPeers {
			t.Errorf("%d asked for a place while the service was down", asked)
		}
		// Renewals of the two that are left, every five seconds or less.
		if got := c.requests() - before; got > 2*maxPeers+2*30 {
			t.Errorf("%d requests in a minute without an answer", got)
		}
		time.Sleep(2 * time.Minute)
		if names := c.listed(); len(names) != maxPeers || names["peer000"] {
			t.Errorf("the list holds %v", names)
		}
	})
}

// TestRenewal: those on the list renew and stay; one that stops goes by its
// TTL without a report.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, 3)
		defer c.end()
		time.Sleep(10 * time.Minute)
		if names := c.listed(); len(names) != 3 {
			t.Errorf("after ten minutes: %v", names)
		}
		if got := c.requests(); got > 3*40 {
			t.Errorf("%d renewals of three peers in ten minutes with a TTL of one", got)
		}
		c.cancels[1]() // silent, while gossip holds it online
		time.Sleep(61 * time.Second)
		if names := c.listed(); len(names) != 2 || names["peer001"] {
			t.Errorf("a minute after the end of renewals: %v", names)
		}
	})
}

func TestTurn(t *testing.T) {
	members := func(words ...string) []Member {
		var all []Member
		for i, w := range words {
			m := Member{Name: string(rune('a' + i)), Online: w != "dead", Started: int64(i)}
			if w == "listed" {
				m.ID = "x"
			}
			all = append(all, m)
		}
		return all
	}
	for _, test := range []struct {
		name, self string
		maxPeers   int
		members    []Member
		wait       time.Duration
		ok         bool
	}{
		{"no place is free", "c", 2, members("listed", "listed", "", ""), 0, false},
		{"one is free, the oldest", "b", 2, members("listed", "", "", "", "", ""), settle, true},
		{"one is free, the first spare", "c", 2, members("listed", "", "", "", "", ""), settle + step, true},
		{"one is free, the last spare", "d", 2, members("listed", "", "", "", "", ""), settle + 2*step, true},
		{"one is free, all others", "e", 2, members("listed", "", "", "", "", ""), 0, false},
		{"two are free", "d", 3, members("listed", "dead", "", "", ""), settle, true},
		{"more places than members", "b", 9, members("listed", "", "dead"), settle, true},
		{"none are kept", "a", 0, members("", ""), 0, false},
		{"not a member", "z", 2, members("", ""), 0, false},
	} {
		if wait, ok := turn(test.self, test.maxPeers, test.members); wait != test.wait || ok != test.ok {
			t.Errorf("%s: %v %t, want %v %t", test.name, wait, ok, test.wait, test.ok)
		}
	}
}

// TestRenewalsLeaveOutTheList: who is listed and stays so is not sent the list
// again and again, and still knows it.
func TestRenewalsLeaveOutTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3
		c := newCluster(t, n, n)
		defer c.end()
		time.Sleep(65 * time.Second) // between two renewals
		c.mu.Lock()
		c.count = map[string]int{}
		c.mu.Unlock()
		time.Sleep(10 * time.Minute)
		c.mu.Lock()
		renewals, peers := c.count["all"], c.count["peers in answers"]
		c.mu.Unlock()
		if renewals < n*20 || peers > 2*n*n { // each once for the number has changed, and once for it is time
			t.Errorf("%d renewals were answered with %d peers", renewals, peers)
		}
		for _, m := range c.members {
			if data, ok := m.registrar.Last(); !ok || len(data.Peers) != n || data.Config.NumPeers != n || !m.registrar.Listed() {
				t.Errorf("%s knows %+v, %t, listed: %t", m.registrar.Self().Name, data, ok, m.registrar.Listed())
			}
		}
		// Others take all places: who is not listed any more is told by whom.
		c.handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "http://bootstrap/reset", nil))
		for i := range n {
			body := fmt.Sprintf("x%d x%d 192.0.2.%d 1 tcp 0 1", i, i, i+1)
			c.handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "http://bootstrap/join", strings.NewReader(body)))
		}
		informed := func() (know int) {
			for _, m := range c.members {
				if data, _ := m.registrar.Last(); data.Peers["x0"].Name == "x0" {
					know++
				}
			}
			return know
		}
		time.Sleep(25 * time.Second)
		// But one takes a place for this part of the cluster: it is listed, among
		// as many as before.
		if know := informed(); know < n-1 {
			t.Errorf("%d know the list", know)
		}
		time.Sleep(relist + time.Minute)
		if know := informed(); know < n {
			t.Errorf("%d know the list after %v", know, relist)
		}
	})
}
