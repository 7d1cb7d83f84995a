package chat

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// network is one in memory, for peers in a synctest bubble: connections between
// named hosts that stall while the direction is cut, and time out or are
// refused when they are opened to who is not there.
type network struct {
	mu      sync.Mutex
	hosts   map[string]*host
	cut     map[[2]string]bool // from, to
	changed chan struct{}
}

type host struct {
	net    *network
	name   string
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once
	conns  []*pipe
}

func newNetwork() *network {
	return &network{hosts: make(map[string]*host), cut: make(map[[2]string]bool), changed: make(chan struct{})}
}

// listen puts a host with that name on the network, in place of any other.
func (n *network) listen(name string) *host {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := &host{net: n, name: name, accept: make(chan net.Conn), closed: make(chan struct{})}
	n.hosts[name] = h
	return h
}

// set cuts or mends the direction from one host to another.
func (n *network) set(from, to string, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]string{from, to}] = cut
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *network) state(from, to string) (cut bool, changed chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cut[[2]string{from, to}], n.changed
}

// dial opens a connection from a host to another.
func (n *network) dial(ctx context.Context, from, to string) (net.Conn, error) {
	for {
		there, changed := n.state(from, to)
		back, _ := n.state(to, from)
		if !there && !back {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	n.mu.Lock()
	h := n.hosts[to]
	n.mu.Unlock()
	if h == nil {
		return nil, syscall.ECONNREFUSED
	}
	ours, theirs := newPipes(n, from, to)
	select {
	case h.accept <- theirs:
		n.mu.Lock()
		h.conns = append(h.conns, theirs)
		if caller := n.hosts[from]; caller != nil {
			caller.conns = append(caller.conns, ours)
		}
		n.mu.Unlock()
		return ours, nil
	case <-h.closed:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (h *host) Accept() (net.Conn, error) {
	select {
	case c := <-h.accept:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *host) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *host) Addr() net.Addr { return address(h.name) }

// vanish ends the host without a word: what it sends from now on is lost.
func (h *host) vanish() {
	_ = h.Close()
	h.net.mu.Lock()
	conns := h.conns
	h.conns = nil
	if h.net.hosts[h.name] == h {
		delete(h.net.hosts, h.name)
	}
	h.net.mu.Unlock()
	for _, c := range conns {
		c.out.fail(syscall.ECONNRESET)
		c.in.fail(syscall.ECONNRESET)
	}
}

type address string

func (address) Network() string  { return "memory" }
func (a address) String() string { return string(a) }

// half is one direction of a connection.
type half struct {
	net      *network
	from, to string

	mu     sync.Mutex
	bytes  []byte
	err    error
	closed bool
	more   chan struct{}
}

const window = 32 << 10

func (h *half) signal() {
	close(h.more)
	h.more = make(chan struct{})
}

func (h *half) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil {
		h.err = err
	}
	h.signal()
}

// pipe is one end of a connection.
type pipe struct {
	out, in     *half
	mu          sync.Mutex
	read, write time.Time
	moved       chan struct{} // closed when a deadline changes
}

func newPipes(n *network, a, b string) (*pipe, *pipe) {
	there := &half{net: n, from: a, to: b, more: make(chan struct{})}
	back := &half{net: n, from: b, to: a, more: make(chan struct{})}
	return &pipe{out: there, in: back, moved: make(chan struct{})}, &pipe{out: back, in: there, moved: make(chan struct{})}
}

// wait waits for something to change.
func (p *pipe) wait(deadline func() time.Time, changes ...chan struct{}) error {
	p.mu.Lock()
	at, moved := deadline(), p.moved
	p.mu.Unlock()
	var expired <-chan time.Time
	if !at.IsZero() {
		if !time.Now().Before(at) {
			return os.ErrDeadlineExceeded
		}
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		expired = timer.C
	}
	var second chan struct{}
	if len(changes) > 1 {
		second = changes[1]
	}
	select {
	case <-changes[0]:
	case <-second:
	case <-moved:
	case <-expired:
		return os.ErrDeadlineExceeded
	}
	return nil
}

func (p *pipe) Read(b []byte) (int, error) {
	h := p.in
	for {
		cut, changed := h.net.state(h.from, h.to)
		h.mu.Lock()
		if h.err != nil {
			defer h.mu.Unlock()
			return 0, h.err
		}
		if !cut && len(h.bytes) > 0 {
			defer h.mu.Unlock()
			n := copy(b, h.bytes)
			h.bytes = h.bytes[n:]
			h.signal()
			return n, nil
		}
		if !cut && h.closed {
			defer h.mu.Unlock()
			return 0, io.EOF
		}
		more := h.more
		h.mu.Unlock()
		if err := p.wait(func() time.Time { return p.read }, more, changed); err != nil {
			return 0, err
		}
	}
}

func (p *pipe) Write(b []byte) (int, error) {
	h, n := p.out, 0
	for {
		h.mu.Lock()
		switch {
		case h.err != nil:
			defer h.mu.Unlock()
			return n, h.err
		case h.closed:
			defer h.mu.Unlock()
			return n, net.ErrClosed
		}
		if some := min(len(b)-n, window-len(h.bytes)); some > 0 {
			h.bytes = append(h.bytes, b[n:n+some]...)
			n += some
			h.signal()
		}
		more := h.more
		h.mu.Unlock()
		if n == len(b) {
			return n, nil
		}
		if err := p.wait(func() time.Time { return p.write }, more); err != nil {
			return n, err
		}
	}
}

func (p *pipe) Close() error {
	for _, h := range []*half{p.out, p.in} {
		h.mu.Lock()
		h.closed = true
		if h == p.in && h.err == nil {
			h.err = net.ErrClosed
		}
		h.signal()
		h.mu.Unlock()
	}
	return nil
}

func (p *pipe) set(f func()) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.moved)
	p.moved = make(chan struct{})
	return nil
}

func (p *pipe) LocalAddr() net.Addr                { return address(p.out.from) }
func (p *pipe) RemoteAddr() net.Addr               { return address(p.out.to) }
func (p *pipe) SetReadDeadline(t time.Time) error  { return p.set(func() { p.read = t }) }
func (p *pipe) SetWriteDeadline(t time.Time) error { return p.set(func() { p.write = t }) }
func (p *pipe) SetDeadline(t time.Time) error {
	return p.set(func() { p.read, p.write = t, t })
}
