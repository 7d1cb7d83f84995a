package sim

import (
	"context"
	"net"
	"time"

	"github.com/hashicorp/memberlist"
)

// transport is what one memberlist talks through.
type transport struct {
	life    *life
	addr    *net.UDPAddr
	packets chan *memberlist.Packet
	streams *listener
	ctx     context.Context
	end     context.CancelFunc
}

var _ memberlist.NodeAwareTransport = (*transport)(nil)

// open makes the transport of a memberlist that begins.
func (l *life) open() (memberlist.NodeAwareTransport, error) {
	streams, err := l.listen(gossipPort)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := &transport{
		life: l, streams: streams,
		addr:    net.UDPAddrFromAddrPort(l.addrPort(gossipPort)),
		packets: make(chan *memberlist.Packet, maxHeld),
	}
	t.ctx, t.end = context.WithCancel(context.Background())
	l.transport = t
	return t, nil
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.addr.IP, t.addr.Port, nil
}

// WriteTo implements memberlist.Transport.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	l := t.life
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.paused && l.end == lives && l.transport == t {
		l.more.Wait()
	}
	if l.end != lives || l.transport != t {
		return time.Time{}, &net.OpError{Op: "write", Net: "udp", Source: t.addr, Err: net.ErrClosed}
	}
	now := time.Now()
	to := l.gossip[addr]
	if to == nil {
		return now, nil // nobody there
	}
	w := l.wire(l.host, to)
	if took, ok := w.carry(udp, udpHeader+len(b), now); ok {
		p := &memberlist.Packet{Buf: append([]byte(nil), b...), From: t.addr}
		t.deliver(to, p, now.Add(took))
		if w.twice() {
			// memberlist may write into what it receives.
			again := &memberlist.Packet{Buf: append([]byte(nil), b...), From: t.addr}
			t.deliver(to, again, now.Add(took))
		}
	}
	return now, nil
}

func (t *transport) deliver(to *host, p *memberlist.Packet, at time.Time) {
	to.agenda.plan(at, func(now time.Time) {
		l := to.life
		if l == nil {
			return
		}
		l.receive(now, true, func() {
			if l.transport == nil {
				return
			}
			p.Timestamp = time.Now()
			select {
			case l.transport.packets <- p:
			default: // the buffer is full
			}
		})
	})
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (t *transport) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, addr.Addr)
}

// DialTimeout implements memberlist.Transport.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	c, err := t.life.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	c.gossip = true
	if t.life.transport != t {
		c.abandon()
	}
	return c, nil
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *transport) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.DialTimeout(addr.Addr, timeout)
}

// PacketCh implements memberlist.Transport.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// StreamCh implements memberlist.Transport.
func (t *transport) StreamCh() <-chan net.Conn { return t.streams.queue }

// Shutdown implements memberlist.Transport. It ends every dial and connection.
func (t *transport) Shutdown() error {
	t.end()
	_ = t.streams.Close()
	t.life.mu.Lock()
	defer t.life.mu.Unlock()
	if t.life.transport != t {
		return nil
	}
	t.life.transport = nil
	for c := range t.life.conns {
		if c.gossip {
			c.abandon()
		}
	}
	t.life.more.Broadcast()
	return nil
}
