package chat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
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
		secured, name, err := c.Secret.Server(c.ctx, conn, c.Name)
		if err != nil {
			c.bump(&c.stats.Strangers)
			return err
		}
		conn, certain = secured, name
	}
	reader := &frameReader{conn: conn, limit: helloFrame}
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
	case !writableName(h.GetFrom()):
		c.bump(&c.stats.Malformed)
		return fmt.Errorf("hello of %q, which is not a name", h.GetFrom())
	}
	if err := c.admit(h.GetFrom(), conn.RemoteAddr()); err != nil {
		return err
	}
	from := writer{h.GetFrom(), h.GetIncarnation()}
	if _, err := conn.Write(appendFrame(nil, c.hello(from.name))); err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Time{})

	c.mu.Lock()
	if len(c.met) >= maxMet && !c.isMember(from) {
		c.stats.Strangers++
		c.mu.Unlock()
		return errors.New("too many call that membership does not know")
	}
	m := c.meet(from)
	if c.members[from.name] != m {
		c.met[from] = m
	}
	reader.limit, reader.more = strangerFrame, func() uint64 {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.isMember(from) {
			return maxFrame
		}
		return strangerFrame
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

// maxMet bounds the callers that membership does not know (yet).
const maxMet = 512

// admit refuses who says hello as a member from another host than the member's.
// The ports differ: that of a caller is any.
func (c *Chat) admit(name string, remote net.Addr) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.members[name]
	if m == nil || sameHost(m.last, remote.String()) {
		return nil
	}
	c.stats.Forged++
	return fmt.Errorf("hello of %s from %s, which is at %s", name, remote, m.last)
}

// sameHost reports whether two addresses are of one host, as far as they tell:
// those that are not IP addresses with a port do not.
func sameHost(a, b string) bool {
	x, err := netip.ParseAddrPort(a)
	if err != nil {
		return true
	}
	y, err := netip.ParseAddrPort(b)
	if err != nil {
		return true
	}
	return x.Addr().Unmap().WithZone("") == y.Addr().Unmap().WithZone("")
}
