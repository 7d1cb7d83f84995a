package chat

import (
	"errors"
	"net"
	"time"

	"peerlab/event"
)

const helloTimeout = 5 * time.Second

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
		c.mu.Lock()
		if c.ctx.Err() != nil {
			c.mu.Unlock()
			_ = conn.Close()
			return
		}
		c.conns[conn] = struct{}{}
		c.mu.Unlock()
		c.running.Go(func() {
			if err := c.serve(conn); c.ctx.Err() == nil {
				c.Log.Debug("chat connection ended", "remote", conn.RemoteAddr(), "err", err)
			}
			_ = conn.Close()
			c.mu.Lock()
			delete(c.conns, conn)
			c.mu.Unlock()
		})
	}
}

// serve reads one member's messages and acks each once it is delivered.
func (c *Chat) serve(conn net.Conn) error {
	_ = conn.SetReadDeadline(time.Now().Add(helloTimeout))
	h, err := readFrame(conn)
	switch {
	case err != nil:
		return err
	case h.Kind != hello:
		return errors.New("no hello")
	case h.To != c.Name:
		// The address was another peer's before: let the caller find out.
		return errors.New("hello for " + h.To)
	}
	_ = conn.SetReadDeadline(time.Time{})
	for {
		f, err := readFrame(conn)
		if err != nil {
			return err
		}
		answer := frame{Kind: pong}
		switch f.Kind {
		case message:
			c.deliver(ID{h.From, h.Incarnation, f.Seq}, f.Text)
			answer = frame{Kind: ack, Seq: f.Seq}
		case ping:
		default:
			return errors.New("unexpected " + string(f.Kind))
		}
		_ = conn.SetWriteDeadline(time.Now().Add(ackTimeout))
		if err := writeFrame(conn, answer); err != nil {
			return err
		}
	}
}

// deliver shows a message unless it was shown before. An author's messages
// arrive in order on every connection, each starting at the oldest unacked
// one, so that the last number tells.
func (c *Chat) deliver(id ID, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := author{id.Author, id.Incarnation}
	if id.Seq <= c.last[from] || id.Author == c.Name {
		return
	}
	c.last[from] = id.Seq
	c.Events.Emit(event.Event{Kind: event.ChatDelivered, Message: id.String(), Member: id.Author, Text: text})
}
