package peer_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/bootstrap/server"
	"peerlab/bootstrap/store"
	"peerlab/event"
	"peerlab/peer"
)

// cutter is UDP and TCP on loopback for two sides that can be cut off from
// each other. Peers of the left listen on 127.0.0.1, of the right on 127.0.0.2.
type cutter struct {
	*memberlist.NetTransport
	cut   *atomic.Bool
	right bool
}

func newCutter(t *testing.T, right bool, cut *atomic.Bool) *cutter {
	t.Helper()
	ip := "127.0.0.1"
	if right {
		ip = "127.0.0.2"
	}
	transport, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{ip}, BindPort: 0, Logger: log.New(io.Discard, "", 0)})
	if err != nil {
		t.Fatal(err)
	}
	return &cutter{transport, cut, right}
}

func (c *cutter) lost(addr string) bool {
	return c.cut.Load() && strings.HasPrefix(addr, "127.0.0.2:") != c.right
}

func (c *cutter) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if c.lost(a.Addr) {
		return time.Now(), nil
	}
	return c.NetTransport.WriteToAddress(b, a)
}

func (c *cutter) WriteTo(b []byte, addr string) (time.Time, error) {
	return c.WriteToAddress(b, memberlist.Address{Addr: addr})
}

func (c *cutter) DialAddressTimeout(a memberlist.Address, d time.Duration) (net.Conn, error) {
	if c.lost(a.Addr) {
		return nil, fmt.Errorf("dial %s: cut", a.Addr)
	}
	return c.NetTransport.DialAddressTimeout(a, d)
}

func (c *cutter) DialTimeout(addr string, d time.Duration) (net.Conn, error) {
	return c.DialAddressTimeout(memberlist.Address{Addr: addr}, d)
}

// cutOff carries requests to the service unless the right side is cut off from
// it too.
type cutOff struct{ cut *atomic.Bool }

func (c cutOff) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.cut.Load() {
		return nil, fmt.Errorf("dial %s: cut", r.URL.Host)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// TestPartition splits a cluster until both sides hold each other dead, with
// all bootstrap peers on one side, and with the service between the sides or on
// that side too. In the end all see each other, and the list holds peers of
// both sides.
func TestPartition(t *testing.T) {
	for _, test := range []struct {
		name    string
		between bool // both sides reach the service
	}{{"service between", true}, {"service on the left", false}} {
		t.Run(test.name, func(t *testing.T) {
			defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			var cut, cutService atomic.Bool
			srv := httptest.NewServer(server.New(store.NewMemory(2, 2), server.Options{TTL: 6 * time.Second, AllowLoopback: true}))
			t.Cleanup(srv.Close)
			s := &service{Server: srv}
			names := []string{"a", "b", "c", "d", "e", "f"}
			var peers []*running
			for i, name := range names {
				conf := config(name, s)
				transport := newCutter(t, i >= 3, &cut)
				conf.Network.Transport = func() (memberlist.NodeAwareTransport, error) { return transport, nil }
				conf.Advertise = transport.addr()
				if i >= 3 {
					conf.Network.HTTP = cutOff{&cutService}
				}
				conf.State = filepath.Join(t.TempDir(), name)
				p := start(t, conf)
				p.awaitKind(event.PeerReady, "")
				peers = append(peers, p)
			}
			awaitOnline(t, peers, 6)
			sides := func() (left, right int) {
				for _, p := range s.list(t) {
					if p.IP == "127.0.0.2" {
						right++
					} else {
						left++
					}
				}
				return left, right
			}
			if left, right := sides(); left != 2 || right != 0 {
				t.Fatalf("at first %d and %d peers of the two sides are registered", left, right)
			}
			cut.Store(true)
			cutService.Store(!test.between)
			for i, p := range peers {
				for j, other := range names {
					if (i < 3) != (j < 3) {
						p.awaitKind(event.MemberDead, other)
					}
				}
			}
			if !test.between {
				if left, right := sides(); left != 2 || right != 0 {
					t.Errorf("during the cut %d and %d peers of the two sides are registered", left, right)
				}
				cutService.Store(false) // the service comes back before the peers do
			}
			// The living whom the others hold dead were not removed, and both
			// sides have their voice.
			await(t, "one of each side", func() bool { left, right := sides(); return left == 1 && right == 1 })
			cut.Store(false)
			awaitOnline(t, peers, 6)
			if left, right := sides(); left != 1 || right != 1 {
				t.Errorf("after the heal %d and %d peers of the two sides are registered", left, right)
			}
		})
	}
}

// addr returns the transport's own address.
func (c *cutter) addr() string {
	ip := "127.0.0.1"
	if c.right {
		ip = "127.0.0.2"
	}
	return net.JoinHostPort(ip, fmt.Sprint(c.GetAutoBindPort()))
}

// await waits until ok, asking again and again.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never %s", what)
		}
	}
}

func awaitOnline(t *testing.T, peers []*running, n int) {
	t.Helper()
	for _, p := range peers {
		await(t, fmt.Sprintf("did %s see %d", p.Name(), n), func() bool {
			return strings.Count(p.mustExec("members"), "alive") == n
		})
	}
}

// TestStartsThroughRememberedPeers: a peer that comes back finds its cluster while
// the service is down, by what it remembered.
func TestStartsThroughRememberedPeers(t *testing.T) {
	s := startService(t, 2)
	state := t.TempDir()
	first := start(t, config("first", s))
	first.awaitKind(event.PeerReady, "")
	conf := config("second", s)
	conf.State = state
	second := start(t, conf)
	second.awaitKind(event.MemberJoin, "first")
	await(t, "was first written down", func() bool {
		b, _ := os.ReadFile(filepath.Join(state, "peers.json"))
		return strings.Contains(string(b), `"first"`)
	})
	second.stop()
	<-second.done
	first.awaitKind(event.MemberLeft, "second")
	s.down.Store(true)
	again := start(t, conf)
	again.awaitKind(event.BootstrapError, "")
	again.awaitKind(event.MemberJoin, "first")
	again.awaitKind(event.PeerReady, "")
	again.stop()
	<-again.done

	// Without a memory, and with a damaged one, it waits for the service.
	if err := os.WriteFile(filepath.Join(state, "peers.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := start(t, conf)
	damaged.awaitKind(event.BootstrapError, "")
	s.down.Store(false)
	damaged.awaitKind(event.MemberJoin, "first")
}

// TestSecondServiceTakesOver: of two services the first is down.
func TestSecondServiceTakesOver(t *testing.T) {
	down, up := startService(t, 2), startService(t, 2)
	down.down.Store(true)
	both := func(name string) peer.Config {
		conf := config(name, up)
		conf.Bootstrap = down.URL + ", " + up.URL
		return conf
	}
	a, b := start(t, both("a")), start(t, both("b"))
	a.awaitKind(event.MemberJoin, "b")
	b.awaitKind(event.MemberJoin, "a")
	if n := len(up.list(t)); n != 2 {
		t.Errorf("%d peers are registered at the second service", n)
	}
}
