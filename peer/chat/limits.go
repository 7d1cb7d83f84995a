package chat

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"time"
)

// Defaults of Limits.
const (
	DefaultHistory      = 1000
	DefaultHorizon      = 10_000
	DefaultHorizonBytes = 16 << 20
)

// minHorizon is the least Limits.Horizon.
const minHorizon = 16

// Limits bound what a chat takes and keeps. Zero means the default.
type Limits struct {
	// Rate is how many messages a second this peer may send, with bursts of as
	// many; 0 means no limit.
	Rate float64
	// History is how many messages are kept although everybody has them; the
	// default is DefaultHistory.
	History int
	// Horizon is how many messages are kept at most, whoever lacks them, and
	// HorizonBytes how much memory they take; the defaults are DefaultHorizon and
	// DefaultHorizonBytes. Who was away for longer than that misses the older ones.
	Horizon      int
	HorizonBytes int
}

func (l Limits) orDefaults() Limits {
	l.Horizon = max(cmp.Or(l.Horizon, DefaultHorizon), minHorizon)
	l.HorizonBytes = max(cmp.Or(l.HorizonBytes, DefaultHorizonBytes), 4*(MaxText+overhead))
	l.History = min(cmp.Or(l.History, DefaultHistory), l.Horizon)
	return l
}

// Check says what is wrong with the limits.
func (l Limits) Check() error {
	switch {
	case l.Rate < 0:
		return fmt.Errorf("chat rate %g: use a number of messages a second, or 0 for no limit", l.Rate)
	case l.History < 0, l.Horizon < 0, l.HorizonBytes < 0:
		return fmt.Errorf("chat history and horizon must not be negative")
	case l.Horizon > 0 && l.Horizon < minHorizon:
		return fmt.Errorf("chat horizon %d: use %d or more, or 0 for %d", l.Horizon, minHorizon, DefaultHorizon)
	}
	return nil
}

// forgetAfter is for how long a member that was found dead is waited for before
// messages it lacks count as had by all.
const forgetAfter = 10 * time.Minute

// trim drops the oldest messages: those that all have, beyond the history, and
// any beyond the horizon. The caller holds c.mu.
func (c *Chat) trim() {
	h := c.history
	beyond := func(messages, bytes int) bool { return h.len() > messages || h.bytes > bytes }
	dropped := false
	for beyond(c.Limits.History, c.Limits.HorizonBytes/4) {
		all := c.hadByAll(h.oldest())
		if !all && !beyond(c.Limits.Horizon, c.Limits.HorizonBytes) {
			break
		}
		if !all {
			c.stats.Truncated++
		}
		h.drop()
		dropped = true
	}
	if dropped {
		c.store.trim(h)
	}
}

// hadByAll says whether every member is known to have e, those that were found
// dead not long ago included.
func (c *Chat) hadByAll(e *entry) bool {
	if c.had.of != e.by { // else nobody has told more since
		c.had = mark{e.by, math.MaxUint64}
		for _, m := range c.members {
			if m.writer != e.by {
				c.had.seq = min(c.had.seq, m.have[e.by])
			}
		}
	}
	return e.seq <= c.had.seq
}

// stallAfter is how long a member may take nothing before authors no longer
// wait for it.
const stallAfter = 3 * time.Second

// laggard returns a member that takes part but lacks e, nil if there is none.
func (c *Chat) laggard(e *entry) *member {
	for _, m := range c.members {
		if m.addr != "" && m.writer != e.by && m.have[e.by] < e.seq && len(m.sessions) > 0 && time.Since(m.progress) < stallAfter {
			return m
		}
	}
	return nil
}

// awaitRoom waits while the history is nearly full of what a member that takes
// part still lacks. The caller holds c.mu, which is released meanwhile.
func (c *Chat) awaitRoom(ctx context.Context) error {
	for {
		if c.ctx.Err() != nil {
			return ErrLeft
		}
		if h := c.history; h.len() < c.Limits.Horizon/4*3 && h.bytes < c.Limits.HorizonBytes/4*3 {
			return nil
		}
		c.trim()
		e := c.history.oldest()
		if e == nil || c.hadByAll(e) {
			return nil
		}
		slow := c.laggard(e)
		if slow == nil {
			return nil
		}
		if e.by != c.self {
			c.compare(slow) // only it knows what it has of others
		}
		if err := c.await(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("the chat is full: %s has not taken what was said before: %w", slow.name, err)
		}
	}
}

// await waits for progress, at most for d. The caller holds c.mu, which is
// released meanwhile.
func (c *Chat) await(ctx context.Context, d time.Duration) error {
	progress := c.progress
	c.mu.Unlock()
	defer c.mu.Lock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-progress:
	case <-timer.C:
	case <-c.ctx.Done():
		return ErrLeft
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// moved wakes who waits for progress; the caller holds c.mu.
func (c *Chat) moved() {
	close(c.progress)
	c.progress = make(chan struct{})
}
