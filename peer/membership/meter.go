package membership

import (
	"net"
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
	answered                atomic.Uint64 // connections on which something came back
	told                    uint64        // of bytes, by tell
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

func (m *meter) dialled(conn net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	m.streams.Add(1)
	return &meteredConn{Conn: conn, meter: m}, nil
}

// DialTimeout implements memberlist.Transport.
func (m *meter) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return m.dialled(m.NodeAwareTransport.DialTimeout(addr, timeout))
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (m *meter) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return m.dialled(m.NodeAwareTransport.DialAddressTimeout(addr, timeout))
}

type meteredConn struct {
	net.Conn
	meter *meter
	heard atomic.Bool
}

func (c *meteredConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.heard.Swap(true) {
		c.meter.answered.Add(1)
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
