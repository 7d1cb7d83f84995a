package sim

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// window is how many bytes one side of a connection takes from its writer
	// before the other side has read them.
	window = 256 << 10
	// Linux sends a packet of a stream again after 200 ms and a round trip,
	// then after twice as long each time up to two minutes, and gives the
	// connection up after fifteen times (tcp_retries2).
	minRetransmit = 200 * time.Millisecond
	maxRetransmit = 2 * time.Minute
	maxRetries    = 15
)

// conn is one side of a stream. What it sends arrives in order; what is lost on
// the way is sent again as Linux does, so that a connection across a cut falls
// silent and goes on some time after the cut has healed. The network's lock
// guards it.
type conn struct {
	life    *life
	other   *conn
	from    *net.TCPAddr
	to      *net.TCPAddr
	gossip  bool // of memberlist, whose transport closes it
	changed *sync.Cond

	// Sending. A segment of nil is the end of the stream.
	queue   [][]byte
	waiting bool      // the first of queue is to be sent again
	retries int       // how often it was
	last    time.Time // when the last one sent arrives
	unread  int       // bytes that the other side has not read yet

	received [][]byte
	ended    bool // the other side has closed

	closed    bool  // by this side
	err       error // why it does not work any more
	readTill  deadline
	writeTill deadline
}

var _ net.Conn = (*conn)(nil)

// deadline is a time after which a call fails.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// set makes c look again when the time has come. The caller holds the lock.
func (d *deadline) set(c *conn, at time.Time) {
	d.at = at
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if !at.IsZero() && time.Until(at) > 0 {
		d.timer = time.AfterFunc(time.Until(at), func() {
			c.life.mu.Lock()
			defer c.life.mu.Unlock()
			c.changed.Broadcast()
		})
	}
	c.changed.Broadcast()
}

func newConn(l *life, from, to *net.TCPAddr) *conn {
	c := &conn{life: l, from: from, to: to, changed: sync.NewCond(&l.mu)}
	l.conns[c] = struct{}{}
	return c
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, c.fail("read", net.ErrClosed)
		case c.readTill.passed():
			return 0, c.fail("read", os.ErrDeadlineExceeded)
		case c.life.paused:
		case len(c.received) > 0:
			n := copy(b, c.received[0])
			if c.received[0] = c.received[0][n:]; len(c.received[0]) == 0 {
				c.received[0] = nil
				c.received = c.received[1:]
			}
			if was := c.other.unread; was >= window && was-n < window {
				c.other.changed.Broadcast()
			}
			c.other.unread -= n
			return n, nil
		case c.err != nil:
			return 0, c.fail("read", c.err)
		case c.ended:
			return 0, io.EOF
		case len(b) == 0:
			return 0, nil
		}
		c.changed.Wait()
	}
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (n int, err error) {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	for len(b) > 0 {
		switch {
		case c.closed:
			return n, c.fail("write", net.ErrClosed)
		case c.err != nil:
			return n, c.fail("write", c.err)
		case c.writeTill.passed():
			return n, c.fail("write", os.ErrDeadlineExceeded)
		case c.life.paused || c.unread >= window:
			c.changed.Wait()
			continue
		}
		part := append([]byte(nil), b[:min(len(b), window-c.unread)]...)
		c.queue = append(c.queue, part)
		c.unread += len(part)
		b, n = b[len(part):], n+len(part)
		c.push(time.Now())
	}
	return n, nil
}

// push sends what is queued. The caller holds the lock.
func (c *conn) push(now time.Time) {
	for len(c.queue) > 0 && !c.waiting && c.err == nil {
		w := c.life.wire(c.life.host, c.other.life.host)
		part := c.queue[0]
		if w != nil && len(part) > mss {
			c.queue = append([][]byte{part[:mss], part[mss:]}, c.queue[1:]...)
			part = part[:mss]
		}
		size := tcpHeader + len(part)
		if wait := w.pace(size, now); wait > 0 {
			c.again(now.Add(wait))
			return
		}
		took, ok := w.carry(tcp, size, now)
		if !ok {
			c.lost(now)
			return
		}
		c.queue[0] = nil
		c.queue = c.queue[1:]
		c.retries = 0
		if at := now.Add(took); at.After(c.last) {
			c.last = at
		}
		c.life.agenda.plan(c.last, func(now time.Time) { c.other.arrive(now, part) })
	}
}

// lost plans to send the first of the queue again.
func (c *conn) lost(now time.Time) {
	if c.retries++; c.retries > maxRetries {
		c.breakOff(syscall.ETIMEDOUT)
		return
	}
	pause := minRetransmit
	for _, w := range []*wire{c.life.wire(c.life.host, c.other.life.host), c.life.wire(c.other.life.host, c.life.host)} {
		if w != nil {
			pause += w.link.Shape.Delay
		}
	}
	c.again(now.Add(min(pause<<(c.retries-1), maxRetransmit)))
}

func (c *conn) again(at time.Time) {
	c.waiting = true
	c.life.agenda.plan(at, func(now time.Time) {
		c.waiting = false
		c.push(now)
	})
}

// arrive takes a part of the stream. The caller holds the lock.
func (c *conn) arrive(now time.Time, part []byte) {
	switch {
	case c.life.end == killed && c.life.host.life == c.life:
		// Nobody there, who could say so.
		c.other.queue = append([][]byte{part}, c.other.queue...)
		c.other.lost(now)
		return
	case c.life.end != lives, c.closed && part != nil:
		c.refuse(now)
		return
	case part == nil:
		c.ended = true
		c.forget()
		c.changed.Broadcast()
		return
	}
	c.life.receive(now, false, func() {
		c.received = append(c.received, part)
		c.changed.Broadcast()
	})
}

// refuse tells the other side, once, that there is no such connection.
func (c *conn) refuse(now time.Time) {
	delete(c.life.conns, c)
	c.life.signal(c.other.life.host, now, func(time.Time) { c.other.breakOff(syscall.ECONNRESET) })
}

// breakOff ends the connection with an error. The caller holds the lock.
func (c *conn) breakOff(err error) {
	if c.err == nil {
		c.err, c.queue = err, nil
		c.forget()
		c.changed.Broadcast()
	}
}

// abandon is what becomes of a connection when the peer ends.
func (c *conn) abandon() {
	c.breakOff(net.ErrClosed)
	c.refuse(time.Now())
}

// forget drops the connection from its life once both sides are through.
func (c *conn) forget() {
	if c.err != nil || c.closed && c.ended {
		delete(c.life.conns, c)
	}
}

// Close implements net.Conn. What was written still arrives.
func (c *conn) Close() error {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.closed = true
	c.readTill.set(c, time.Time{})
	c.writeTill.set(c, time.Time{})
	if c.err == nil {
		c.queue = append(c.queue, nil)
		c.push(time.Now())
	}
	c.forget()
	c.changed.Broadcast()
	return nil
}

func (c *conn) fail(op string, err error) error {
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ETIMEDOUT) {
		err = os.NewSyscallError(op, err)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.from, Addr: c.to, Err: err}
}

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return c.from }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return c.to }

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error { return c.till(t, &c.readTill, &c.writeTill) }

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error { return c.till(t, &c.readTill) }

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.till(t, &c.writeTill) }

func (c *conn) till(t time.Time, which ...*deadline) error {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	if c.closed {
		return c.fail("set", net.ErrClosed)
	}
	for _, d := range which {
		d.set(c, t)
	}
	return nil
}
