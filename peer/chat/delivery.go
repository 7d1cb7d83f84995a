package chat

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Delivery is who has a message: the time from sending to each ack, and who
// has not acked.
type Delivery struct {
	ID      ID                       `json:"-"`
	Acked   map[string]time.Duration `json:"acked_ns"`
	Missing []string                 `json:"missing"`

	sent time.Time
}

// SendAndWait sends text and waits until everyone who is in the chat now has
// it or ctx ends, and returns who has. A member that leaves or dies meanwhile
// stays missing and is not waited for.
func (c *Chat) SendAndWait(ctx context.Context, text string) (Delivery, error) {
	d := &Delivery{Acked: make(map[string]time.Duration), Missing: []string{}}
	if _, err := c.send(ctx, text, d); err != nil {
		return Delivery{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer delete(c.waiting, d)
	for slices.ContainsFunc(d.Missing, func(name string) bool { return c.shown[name] != 0 }) {
		if c.Gossip != nil { // gossip is not acked
			c.compareWith(d.Missing)
		}
		if c.await(ctx, 200*time.Millisecond) != nil {
			break
		}
	}
	return *d, nil
}

// expect prepares d for e, which is about to be sent; the caller holds c.mu.
func (c *Chat) expect(d *Delivery, e *entry) {
	d.ID, d.sent = e.id(), time.Now()
	d.Missing = slices.AppendSeq(d.Missing, maps.Keys(c.shown))
	slices.Sort(d.Missing)
	c.waiting[d] = struct{}{}
}

// acked notes that name has this peer's messages up to seq; the caller holds
// c.mu.
func (c *Chat) acked(name string, seq uint64) {
	for d := range c.waiting {
		if d.ID.Seq > seq {
			continue
		}
		if i := slices.Index(d.Missing, name); i >= 0 {
			d.Missing = slices.Delete(d.Missing, i, i+1)
			d.Acked[name] = time.Since(d.sent)
		}
	}
}

// flush waits until everyone in the chat has everything sent, or ctx ends.
// What was gossiped a moment ago may not have left this peer: it is pushed.
func (c *Chat) flush(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.history.have(c.self)
	c.large = last
	for {
		open := false
		for name := range c.shown {
			if m := c.members[name]; m != nil && m.have[c.self] < last {
				open = true
				c.push(m)
			}
		}
		if !open || c.await(ctx, time.Second) != nil {
			return
		}
	}
}

func (c *Chat) compareWith(names []string) {
	for _, name := range names {
		if m := c.members[name]; m != nil {
			c.compare(m)
		}
	}
}
