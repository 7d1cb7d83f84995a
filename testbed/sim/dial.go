package sim

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
)

// maxPending is how many connections wait for a listener to accept them.
const maxPending = 128

func (l *life) addrPort(port int) netip.AddrPort { return netip.AddrPortFrom(l.addr, uint16(port)) }

// listener is one port of a life.
type listener struct {
	life  *life
	port  int
	addr  *net.TCPAddr
	queue chan net.Conn
	ended chan struct{}
	done  bool
}

var _ net.Listener = (*listener)(nil)

// firstFreePort is the first port for a listener that takes any.
const firstFreePort = 49152

// listenAt opens the port of IP:PORT, 0 for any, for a peer's application. A peer
// has one address, so that the IP does not matter.
func (l *life) listenAt(addr string) (net.Listener, error) {
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: err}
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: err}
	}
	ls, err := l.listen(int(port))
	if err != nil {
		return nil, err // a nil *listener would be a net.Listener
	}
	return ls, nil
}

// listen opens a port; 0 stands for a free one.
func (l *life) listen(port int) (*listener, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if port == 0 {
		for port = firstFreePort; l.listeners[port] != nil; port++ {
		}
	}
	addr := net.TCPAddrFromAddrPort(l.addrPort(port))
	fail := func(err error) (*listener, error) {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: addr, Err: err}
	}
	switch {
	case l.end != lives:
		return fail(net.ErrClosed)
	case l.listeners[port] != nil, port > math.MaxUint16:
		return fail(os.NewSyscallError("bind", syscall.EADDRINUSE))
	}
	ls := &listener{life: l, port: port, addr: addr, queue: make(chan net.Conn, maxPending), ended: make(chan struct{})}
	l.listeners[port] = ls
	return ls, nil
}

// Accept implements net.Listener.
func (ls *listener) Accept() (net.Conn, error) {
	select {
	case c := <-ls.queue:
		return c, nil
	case <-ls.ended:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: ls.addr, Err: net.ErrClosed}
	}
}

// Addr implements net.Listener.
func (ls *listener) Addr() net.Addr { return ls.addr }

// Close implements net.Listener.
func (ls *listener) Close() error {
	ls.life.mu.Lock()
	defer ls.life.mu.Unlock()
	ls.close()
	return nil
}

// close ends the listener and what it has not accepted. The caller holds the
// lock.
func (ls *listener) close() {
	if ls.done {
		return
	}
	ls.done = true
	close(ls.ended)
	delete(ls.life.listeners, ls.port)
	for {
		select {
		case c := <-ls.queue:
			c.(*conn).abandon()
			continue
		default:
		}
		return
	}
}

// call is one attempt to connect.
type call struct {
	from *life
	to   netip.AddrPort
	over bool
	conn *conn
	err  error
}

// dial connects to an address, trying as Linux does until ctx ends.
func (l *life) dial(ctx context.Context, addr string) (*conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("dial %q: %w", addr, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	d := &call{from: l, to: to}
	defer context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.more.Broadcast()
	})()
	for l.paused && l.end == lives && ctx.Err() == nil {
		l.more.Wait()
	}
	d.try(time.Now(), time.Second)
	for !d.over && ctx.Err() == nil && l.end == lives {
		l.more.Wait()
	}
	switch {
	case d.err == nil && d.conn != nil:
		return d.conn, nil
	case d.over:
		err = os.NewSyscallError("connect", d.err)
	case l.end != lives:
		err = net.ErrClosed
	case ctx.Err() == context.DeadlineExceeded:
		err = os.ErrDeadlineExceeded
	default:
		err = ctx.Err()
	}
	d.over = true
	return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
}

// try sends a SYN, and another one after the given time. The caller holds the
// lock.
func (d *call) try(now time.Time, again time.Duration) {
	l := d.from
	if d.over || l.end != lives {
		return
	}
	l.agenda.plan(now.Add(again), func(now time.Time) { d.try(now, 2*again) })
	if to := l.hosts[d.to.Addr()]; to != nil {
		l.signal(to, now, func(now time.Time) { d.answer(now, to) })
	}
}

// answer is what to's host does with a SYN.
func (d *call) answer(now time.Time, to *host) {
	if d.over || to.life != nil && to.life.end == killed {
		return
	}
	var ls *listener
	if to.life != nil {
		ls = to.life.listeners[int(d.to.Port())]
	}
	if ls != nil && len(ls.queue) == cap(ls.queue) {
		return
	}
	to.signal(d.from.host, now, func(time.Time) { d.end(ls) })
}

// end takes the answer: a listener that accepts, or none.
func (d *call) end(ls *listener) {
	l := d.from
	if d.over || l.end != lives {
		return
	}
	if ls == nil || ls.done {
		d.finish(nil, syscall.ECONNREFUSED)
		return
	}
	l.ports++
	from := net.TCPAddrFromAddrPort(l.addrPort(32768 + l.ports%28232))
	c, other := newConn(l, from, ls.addr), newConn(ls.life, ls.addr, from)
	c.other, other.other = other, c
	other.gossip = ls.port == gossipPort
	select {
	case ls.queue <- other:
		d.finish(c, nil)
	default:
		delete(l.conns, c)
		delete(ls.life.conns, other)
	}
}

func (d *call) finish(c *conn, err error) {
	d.over, d.conn, d.err = true, c, err
	d.from.more.Broadcast()
}
