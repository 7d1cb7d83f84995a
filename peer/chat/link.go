package chat

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

const (
	dialTimeout = 3 * time.Second
	ackTimeout  = 3 * time.Second        // without an ack for so long a connection is given up
	minBackoff  = 100 * time.Millisecond // between two tries to connect, doubling
	maxBackoff  = 2 * time.Second
	maxWaiting  = 1024 // messages kept for one member
)

// link sends to one life of one member: a queue, a connection that is opened
// when there is something to send and kept, and everything unacked again
// after a reconnect, in order.
type link struct {
	chat *Chat
	to   author
	ctx  context.Context
	stop context.CancelFunc

	mu      sync.Mutex
	address string    // empty while the member is held dead
	since   time.Time // when address became empty
	queue   []frame   // unacked, oldest first
	sent    int       // how many of queue went out on the present connection
	conn    net.Conn
	wake    chan struct{} // holds one token when something changed
}

func newLink(c *Chat, to author) *link {
	l := &link{chat: c, to: to, wake: make(chan struct{}, 1)}
	l.ctx, l.stop = context.WithCancel(c.ctx)
	return l
}

func (l *link) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// moveTo changes the member's address; empty means it cannot be reached now.
func (l *link) moveTo(addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.address == addr {
		return
	}
	l.address, l.since = addr, time.Now()
	if l.conn != nil {
		_ = l.conn.Close()
	}
	l.signal()
}

func (l *link) addr() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.address
}

// idleFor returns how long the member has had no address.
func (l *link) idleFor() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.address != "" {
		return 0
	}
	return time.Since(l.since)
}

func (l *link) pending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) > 0
}

// enqueue adds f and returns how many older messages had to go.
func (l *link) enqueue(f frame) (lost int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == maxWaiting {
		lost = 1
		l.queue = l.queue[1:]
		l.sent = max(l.sent-1, 0)
	}
	l.queue = append(l.queue, f)
	l.signal()
	return lost
}

// next returns the first message not yet sent on the present connection, and
// whether all before it are acked.
func (l *link) next() (f frame, first, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sent == len(l.queue) {
		return frame{}, false, false
	}
	l.sent++
	return l.queue[l.sent-1], l.sent == 1, true
}

// done removes what the member acked: everything up to seq, for it delivers
// in order.
func (l *link) done(seq uint64) {
	l.mu.Lock()
	n := 0
	for n < len(l.queue) && l.queue[n].Seq <= seq {
		n++
	}
	acked := l.queue[:n]
	l.queue = l.queue[n:]
	l.sent = max(l.sent-n, 0)
	l.mu.Unlock()
	for _, f := range acked {
		l.chat.ackedBy(l.to.name, f.Seq)
	}
}

// run sends until the link is stopped.
func (l *link) run() {
	backoff := minBackoff
	for l.ctx.Err() == nil {
		if !l.pending() || l.addr() == "" {
			select {
			case <-l.wake:
			case <-l.ctx.Done():
			}
			continue
		}
		progress, err := l.session()
		if err == nil || l.ctx.Err() != nil {
			continue
		}
		l.chat.Log.Debug("chat connection lost", "member", l.to.name, "err", err)
		if progress {
			backoff = minBackoff
		}
		pause := time.NewTimer(backoff/2 + rand.N(backoff))
		select {
		case <-pause.C:
		case <-l.ctx.Done():
		}
		pause.Stop()
		backoff = min(2*backoff, maxBackoff)
	}
}

// connect dials the member and says hello.
func (l *link) connect(ctx context.Context) (net.Conn, error) {
	addr := l.addr()
	if addr == "" {
		return nil, errors.New("the member is not reachable now")
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := l.chat.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	_ = conn.SetWriteDeadline(time.Now().Add(ackTimeout))
	err = writeFrame(conn, frame{Kind: hello, From: l.chat.Name, To: l.to.name, Incarnation: l.chat.Incarnation})
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// session sends over one connection until it fails or the link is stopped,
// and says whether anything was acked.
func (l *link) session() (progress bool, err error) {
	conn, err := l.connect(l.ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	defer context.AfterFunc(l.ctx, func() { _ = conn.Close() })()
	l.mu.Lock()
	l.conn, l.sent = conn, 0
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.conn = nil
		l.mu.Unlock()
	}()

	// The reader owns the connection's read side and ends with it.
	acks := make(chan uint64)
	failed := make(chan error, 1)
	reader := sync.WaitGroup{}
	reader.Go(func() {
		for {
			f, err := readFrame(conn)
			if err == nil && f.Kind != ack {
				err = errors.New("the member answered with something else than an ack")
			}
			if err != nil {
				failed <- err
				return
			}
			select {
			case acks <- f.Seq:
			case <-l.ctx.Done():
				failed <- l.ctx.Err()
				return
			}
		}
	})
	defer func() {
		_ = conn.Close()
		for {
			select {
			case <-acks:
				continue
			case <-failed:
			}
			break
		}
		reader.Wait()
	}()

	overdue := time.NewTimer(ackTimeout)
	defer overdue.Stop()
	for {
		for {
			f, first, ok := l.next()
			if !ok {
				break
			}
			if first {
				overdue.Reset(ackTimeout)
			}
			_ = conn.SetWriteDeadline(time.Now().Add(ackTimeout))
			if err := writeFrame(conn, f); err != nil {
				return progress, err
			}
		}
		select {
		case seq := <-acks:
			l.done(seq)
			progress = true
			overdue.Reset(ackTimeout)
		case err := <-failed:
			failed <- err // for the deferred wait
			return progress, err
		case <-l.wake:
		case <-overdue.C:
			if l.pending() {
				return progress, errors.New("no ack in time")
			}
			overdue.Reset(ackTimeout)
		}
	}
}
