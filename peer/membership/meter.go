package membership

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/event"
)

// meter counts what passes a transport: the packets sent, and the connections
// made with what passes them both ways. Whoever accepts a connection does not
// count it, so that the sum over a cluster has each byte once. memberlist's own
// metrics are one set for a whole process, which can hold many peers.
type meter struct {
	memberlist.NodeAwareTransport
	packets, streams, bytes atomic.Uint64
	told                    uint64 // of bytes, by tell

	mu    sync.Mutex
	joins map[*join]struct{} // under way
}

// join is a Join under way: memberlist does not tell whether anybody answered.
type join struct {
	addrs    []netip.AddrPort // invalid for one that has to be looked up
	answered atomic.Bool
}

// beginJoin returns a join of addrs, which notes the answers until end is called.
func (m *meter) beginJoin(addrs []string) (j *join, end func()) {
	j = &join{}
	for _, addr := range addrs {
		j.addrs = append(j.addrs, parseAddr(addr))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.joins == nil {
		m.joins = make(map[*join]struct{})
	}
	m.joins[j] = struct{}{}
	return j, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.joins, j)
	}
}

// noteAnswer tells the joins that may have dialled addr of an answer from there.
func (m *meter) noteAnswer(addr netip.AddrPort) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for j := range m.joins {
		if slices.Contains(j.addrs, addr) || slices.Contains(j.addrs, netip.AddrPort{}) {
			j.answered.Store(true)
		}
	}
}

// parseAddr returns the zero AddrPort for a name.
func parseAddr(addr string) netip.AddrPort {
	parsed, _ := netip.ParseAddrPort(addr)
	return netip.AddrPortFrom(parsed.Addr().Unmap(), parsed.Port())
}

func (m *meter) sent(n int, at time.Time, err error) (time.Time, error) {
	if err == nil {
		m.packets.Add(1)
		m.bytes.Add(uint64(n))
	}
	return at, err
}

// WriteTo implements memberlist.Transport.
func (m *meter) WriteTo(b []byte, addr string) (time.Time, error) {
	at, err := m.NodeAwareTransport.WriteTo(b, addr)
	return m.sent(len(b), at, err)
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (m *meter) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	at, err := m.NodeAwareTransport.WriteToAddress(b, addr)
	return m.sent(len(b), at, err)
}

func (m *meter) dialled(addr memberlist.Address, conn net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	m.streams.Add(1)
	c := &meteredConn{Conn: conn, meter: m}
	if addr.Name == "" { // a member is dialled by its name, so that this is for a join
		c.joins = parseAddr(addr.Addr)
	}
	return c, nil
}

// DialTimeout implements memberlist.Transport.
func (m *meter) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	conn, err := m.NodeAwareTransport.DialTimeout(addr, timeout)
	return m.dialled(memberlist.Address{Addr: addr}, conn, err)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (m *meter) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	conn, err := m.NodeAwareTransport.DialAddressTimeout(addr, timeout)
	return m.dialled(addr, conn, err)
}

type meteredConn struct {
	net.Conn
	meter *meter
	joins netip.AddrPort // whom a join dialled; invalid otherwise
	heard atomic.Bool
}

func (c *meteredConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && c.joins.IsValid() && !c.heard.Swap(true) {
		c.meter.noteAnswer(c.joins)
	}
	c.meter.bytes.Add(uint64(n))
	return n, err
}

func (c *meteredConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.meter.bytes.Add(uint64(n))
	return n, err
}

// tell reports what was counted, if that is more than it reported last.
func (m *meter) tell(log *event.Log) {
	e := event.Event{Kind: event.PeerTraffic, Packets: m.packets.Load(), Streams: m.streams.Load(), Bytes: m.bytes.Load()}
	if e.Bytes > m.told {
		m.told = e.Bytes
		log.Emit(e)
	}
}
