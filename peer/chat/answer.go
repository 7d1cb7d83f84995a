package chat

import (
	"context"
	"errors"
	"net"
	"time"
)

// accept serves incoming connections until the listener is closed.
func (c *Chat) accept() {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || c.ctx.Err() != nil {
				return
			}
			c.Log.Warn("accept a chat connection", "err", err)
			select { // out of file descriptors, most likely: others may close theirs
			case <-time.After(100 * time.Millisecond):
			case <-c.ctx.Done():
				return
			}
			continue
		}
		c.running.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(c.ctx, func() { _ = conn.Close() })()
			if err := c.answer(c.count(conn)); c.ctx.Err() == nil {
				c.Log.Debug("chat connection ended", "remote", conn.RemoteAddr(), "err", err)
			}
		})
	}
}

// answer serves who called.
func (c *Chat) answer(conn net.Conn) error {
	_ = conn.SetDeadline(time.Now().Add(helloTimeout))
	var certain string // who the caller certainly is
	if c.Secret != nil {
		secured, name, err := c.Secret.server(c.ctx, conn, c.Name)
		if err != nil {
			c.bump(&c.stats.Strangers)
			return err
		}
		conn, certain = secured, name
	}
	reader := &frameReader{conn: conn}
	f, err := reader.one()
	if err != nil {
		c.countBad(err)
		return err
	}
	h := f.GetHello()
	switch {
	case h == nil || !validName(h.GetFrom()) || h.GetIncarnation() == 0:
		c.bump(&c.stats.Malformed)
		return errors.New("no hello")
	case h.GetTo() != c.Name:
		// The address was another peer's before: let the caller find out.
		return errors.New("hello for " + h.GetTo())
	case c.Secret != nil && h.GetFrom() != certain, h.GetFrom() == c.Name:
		c.bump(&c.stats.Forged)
		return errors.New("hello of " + h.GetFrom() + " by another")
	}
	from := writer{h.GetFrom(), h.GetIncarnation()}
	if _, err := conn.Write(appendFrame(nil, c.hello(from.name))); err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Time{})

	c.mu.Lock()
	m := c.meet(from)
	if c.members[from.name] != m {
		c.met[from] = m
	}
	m.settled = !h.GetFresh()
	c.mu.Unlock()
	s := &session{chat: c, conn: conn, reader: reader, member: m}
	if err := s.hold(); err != nil {
		return err
	}
	defer s.release()
	return s.run(m.ctx)
}
