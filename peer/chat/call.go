package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"peerlab/peer/chat/chatpb"
)

const (
	dialTimeout = 3 * time.Second
	minBackoff  = 100 * time.Millisecond // between two tries to connect, doubling
	maxBackoff  = 2 * time.Second
)

// pushable is up to which of its own messages this peer pushes; the caller
// holds c.mu.
func (c *Chat) pushable() uint64 {
	if c.Gossip != nil {
		return c.large
	}
	return c.history.have(c.self)
}

// push sees to it that m gets what it lacks of this peer; the caller holds
// c.mu.
func (c *Chat) push(m *member) {
	if m.out != nil {
		wake(m.out.wake)
		return
	}
	c.call(m)
}

// needed says whether there is a reason to connect to m; the caller holds c.mu.
func (c *Chat) needed(m *member) bool {
	return m.addr != "" && m.ctx.Err() == nil && c.ctx.Err() == nil && (m.wanted || m.have[c.self] < c.pushable())
}

// call connects to m, unless that is under way or there is no reason to; the
// caller holds c.mu.
func (c *Chat) call(m *member) {
	if m.calling || !c.needed(m) {
		return
	}
	m.calling = true
	c.running.Go(func() { c.calling(m) })
}

// calling holds a connection to m as long as there is a reason to.
func (c *Chat) calling(m *member) {
	backoff := minBackoff
	for {
		c.mu.Lock()
		if !c.needed(m) {
			m.calling = false
			c.mu.Unlock()
			return
		}
		addr := m.addr
		c.mu.Unlock()
		err := c.converse(m, addr, func() { backoff = minBackoff })
		if err == nil {
			continue
		}
		c.unreachable(m)
		if m.ctx.Err() == nil {
			c.Log.Debug("chat connection lost", "member", m.name, "err", err)
		}
		pause := time.NewTimer(backoff/2 + rand.N(backoff))
		select {
		case <-pause.C:
		case <-m.wake: // it moved
		case <-m.ctx.Done():
		}
		pause.Stop()
		backoff = min(2*backoff, maxBackoff)
	}
}

// unreachable notes that m is not to be waited for.
func (c *Chat) unreachable(m *member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m.failed = true
	c.settle()
	c.closeGaps() // others' word counts now
}

// converse holds one connection to m.
func (c *Chat) converse(m *member, addr string, connected func()) error {
	conn, reader, err := c.connect(m.ctx, m.writer, addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	s := &session{chat: c, conn: conn, reader: reader, member: m, caller: true, addr: addr}
	c.mu.Lock()
	m.wanted = false
	c.mu.Unlock()
	if err := s.hold(); err != nil {
		return err
	}
	defer s.release()
	connected()
	return s.run(m.ctx)
}

// connect dials a member and exchanges hello.
func (c *Chat) connect(ctx context.Context, to writer, addr string) (net.Conn, *frameReader, error) {
	if addr == "" {
		return nil, nil, errors.New("the member is not reachable now")
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	raw, err := c.Dial(ctx, addr)
	if err != nil {
		return nil, nil, err
	}
	conn := c.count(raw)
	abort := context.AfterFunc(ctx, func() { _ = conn.Close() })
	reader, err := c.greet(ctx, &conn, to)
	if !abort() || err != nil {
		_ = conn.Close()
		return nil, nil, cmp.Or(ctx.Err(), err)
	}
	return conn, reader, nil
}

// greet says hello, waits for the answer, and checks that it comes from to.
func (c *Chat) greet(ctx context.Context, conn *net.Conn, to writer) (*frameReader, error) {
	if c.Secret != nil {
		secured, err := c.Secret.Client(ctx, *conn, c.Name, to.name)
		if err != nil {
			return nil, err
		}
		*conn = secured
	}
	if _, err := (*conn).Write(appendFrame(nil, c.hello(to.name))); err != nil {
		return nil, err
	}
	reader := &frameReader{conn: *conn}
	f, err := reader.one()
	if err != nil {
		c.countBad(err)
		return nil, err
	}
	h := f.GetHello()
	switch {
	case h == nil:
		return nil, errors.New("no hello in answer")
	case h.GetFrom() != to.name || h.GetTo() != c.Name:
		return nil, fmt.Errorf("%s answers at the address of %s", h.GetFrom(), to.name)
	case h.GetIncarnation() != to.incarnation:
		return nil, fmt.Errorf("another life of %s answers", to.name)
	}
	return reader, nil
}

func (c *Chat) hello(to string) *chatpb.Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &chatpb.Frame{Kind: &chatpb.Frame_Hello{Hello: &chatpb.Hello{
		From: c.Name, To: to, Incarnation: c.self.incarnation, Fresh: !c.settled,
	}}}
}

// Ping measures the round trip to a member's chat, on a connection of its own
// and without the time it takes to connect.
func (c *Chat) Ping(ctx context.Context, name string) (time.Duration, error) {
	c.mu.Lock()
	m := c.members[name]
	here := c.shown[name] != 0
	var addr string
	if m != nil {
		addr = m.addr
	}
	c.mu.Unlock()
	if m == nil || !here {
		return 0, fmt.Errorf("%s is not in the chat", name)
	}
	conn, reader, err := c.connect(ctx, m.writer, addr)
	if err != nil {
		return 0, fmt.Errorf("reach the chat of %s: %w", name, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	start := time.Now()
	if _, err := conn.Write(appendFrame(nil, &chatpb.Frame{Kind: &chatpb.Frame_Ping{Ping: &chatpb.Ping{Id: 1}}})); err != nil {
		return 0, fmt.Errorf("ping %s: %w", name, err)
	}
	for {
		f, err := reader.one()
		if err != nil {
			return 0, fmt.Errorf("ping %s: %w", name, cmp.Or(ctx.Err(), err))
		}
		if f.GetPong() != nil {
			return time.Since(start), nil
		}
	}
}
