package fabric

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if os.Getpid() == 1 && os.Getuid() == 0 {
		bootAsInit(m.Run) // this is the machine of vm_linux_test.go
	}
	goleak.VerifyTestMain(m)
}

// deadline is generous: the machine may be busy, and nobody waits for it.
const deadline = 20 * time.Second

// lab is a host with a bridge, and peers attached to it as containers are:
// each in a network namespace of its own.
type lab struct {
	host  netns.NsHandle
	peers []peer
}

type peer struct {
	addr netip.Addr
	ns   netns.NsHandle
	port string // the host's end of its veth pair
}

const bridge = "br-lab"

// newLab makes a host with n peers. All of it is gone at the test's end.
func newLab(t testing.TB, n int) *lab {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("network namespaces need root")
		}
		t.Skip("network namespaces need root")
	}
	l := &lab{host: newNamespace(t)}
	h := handle(t, l.host)
	must(t, h.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}}))
	must(t, h.LinkSetUp(link(t, h, bridge)))
	for i := range n {
		l.peers = append(l.peers, peer{
			addr: netip.AddrFrom4([4]byte{10, 77, 0, byte(i + 1)}), ns: newNamespace(t), port: fmt.Sprintf("port%d", i),
		})
		l.start(t, i)
	}
	return l
}

// start attaches peer i to the bridge, in the order in which Docker does it.
func (l *lab) start(t testing.TB, i int) {
	t.Helper()
	p := l.peers[i]
	h, inside := handle(t, l.host), handle(t, p.ns)
	must(t, h.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: p.port, TxQLen: 0, MTU: 1500},
		// The same after a restart, like Docker's.
		PeerName: "eth0", PeerNamespace: netlink.NsFd(p.ns), PeerHardwareAddr: append(net.HardwareAddr{2, 66}, p.addr.AsSlice()...),
	}))
	must(t, h.LinkSetMaster(link(t, h, p.port), link(t, h, bridge)))
	must(t, h.LinkSetUp(link(t, h, p.port)))
	eth0 := link(t, inside, "eth0")
	must(t, inside.AddrAdd(eth0, &netlink.Addr{IPNet: &net.IPNet{IP: p.addr.AsSlice(), Mask: net.CIDRMask(16, 32)}}))
	must(t, inside.LinkSetUp(eth0))
	must(t, inside.LinkSetUp(link(t, inside, "lo")))
	awaitUp(t, l.host, p.port)
	awaitUp(t, p.ns, "eth0")
}

// awaitUp waits until the kernel lets packets through a device, which it does up to
// a second after the device was set up: the bridge takes none from it before.
func awaitUp(t testing.TB, ns netns.NsHandle, name string) {
	t.Helper()
	updates, done := make(chan netlink.LinkUpdate), make(chan struct{})
	must(t, netlink.LinkSubscribeWithOptions(updates, done, netlink.LinkSubscribeOptions{Namespace: &ns, ListExisting: true}))
	defer func() {
		close(done)
		for range updates { // until the subscription has ended
		}
	}()
	late := time.After(30 * time.Second)
	for {
		select {
		case u := <-updates:
			if a := u.Attrs(); a.Name == name && a.OperState == netlink.OperUp {
				return
			}
		case <-late:
			t.Fatalf("%s did not come up", name)
		}
	}
}

// stop takes peer i's device away, as the end of its container does.
func (l *lab) stop(t testing.TB, i int) {
	t.Helper()
	h := handle(t, l.host)
	must(t, h.LinkDel(link(t, h, l.peers[i].port)))
}

// pair is that from peer i to peer j.
func (l *lab) pair(i, j int) Pair { return Pair{l.peers[i].addr, l.peers[j].addr} }

// agent runs an agent on the lab's host until the test ends.
func (l *lab) agent(t testing.TB) *Agent {
	t.Helper()
	a, err := NewAgent(Config{Lab: "test", Bridge: bridge, namespace: int(l.host)})
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		must(t, <-ended)
	})
	return a
}

// within runs f in a namespace: sockets that it opens belong there for good.
func within(t testing.TB, ns netns.NsHandle, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		done <- errors.Join(netns.Set(ns), f())
	}()
	must(t, <-done)
}

// udp opens a UDP socket of peer i.
func (l *lab) udp(t testing.TB, i int) *net.UDPConn {
	t.Helper()
	var conn *net.UDPConn
	within(t, l.peers[i].ns, func() (err error) {
		conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(l.peers[i].addr, 7000)))
		return err
	})
	must(t, conn.SetReadBuffer(8<<20))
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// listen opens a TCP listener of peer i.
func (l *lab) listen(t testing.TB, i int) *net.TCPListener {
	t.Helper()
	var listener *net.TCPListener
	within(t, l.peers[i].ns, func() (err error) {
		listener, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.AddrPortFrom(l.peers[i].addr, 7000)))
		return err
	})
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// dial connects from peer i to where peer j listens.
func (l *lab) dial(t testing.TB, i, j int, patience time.Duration) (net.Conn, error) {
	t.Helper()
	var conn net.Conn
	var failed error
	within(t, l.peers[i].ns, func() error {
		// One address, so Go dials on this thread.
		d := net.Dialer{Timeout: patience}
		conn, failed = d.Dial("tcp4", netip.AddrPortFrom(l.peers[j].addr, 7000).String())
		return nil
	})
	if failed == nil {
		t.Cleanup(func() { _ = conn.Close() })
	}
	return conn, failed
}

func newNamespace(t testing.TB) netns.NsHandle {
	t.Helper()
	var ns netns.NsHandle
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		var err error
		ns, err = netns.New()
		done <- err
	}()
	must(t, <-done)
	t.Cleanup(func() { _ = ns.Close() })
	return ns
}

func handle(t testing.TB, ns netns.NsHandle) *netlink.Handle {
	t.Helper()
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	must(t, err)
	t.Cleanup(h.Close)
	return h
}

func link(t testing.TB, h *netlink.Handle, name string) netlink.Link {
	t.Helper()
	l, err := h.LinkByName(name)
	must(t, err)
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// addr is the i-th of many addresses.
func addr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, byte(i / 250), byte(i%250 + 1)}) }
