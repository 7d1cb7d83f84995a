package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"peerlab/event"
)

// Options are what Join needs; all but Log and Dial must be set.
type Options struct {
	Name        string
	Incarnation uint64       // larger than that of any earlier life of this name; not 0
	Listener    net.Listener // the chat closes it
	// Dial reaches another member's listener. Nil means TCP.
	Dial   func(ctx context.Context, addr string) (net.Conn, error)
	Events *event.Log
	Log    *slog.Logger // nil logs nothing
}

// forgetAfter is how long messages for a member that was found dead are kept
// in case it comes back.
const forgetAfter = 10 * time.Minute

// Chat is this peer's part in the chat, from Join to Leave. Methods may be
// called concurrently.
type Chat struct {
	Options
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	seq     uint64                // of the last message sent
	links   map[string]*link      // to everyone in the chat and to those found dead, by name
	shown   map[string]uint64     // incarnation of everyone the reader was told is here
	last    map[author]uint64     // the last sequence number delivered
	waiting map[uint64]*Delivery  // messages somebody waits for
	acked   chan struct{}         // closed at the next ack
	conns   map[net.Conn]struct{} // accepted
}

// author is one life of a member.
type author struct {
	name        string
	incarnation uint64
}

// Join starts listening. Nobody is reached before Update tells who is there.
func Join(o Options) *Chat {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			dialer := net.Dialer{Timeout: dialTimeout}
			return dialer.DialContext(ctx, "tcp", addr)
		}
	}
	c := &Chat{
		Options: o,
		links:   make(map[string]*link),
		shown:   make(map[string]uint64),
		last:    make(map[author]uint64),
		waiting: make(map[uint64]*Delivery),
		acked:   make(chan struct{}),
		conns:   make(map[net.Conn]struct{}),
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.running.Go(c.accept)
	return c
}

// Update tells the chat everyone membership knows, this peer excluded. A
// member missing from it counts as found dead.
func (c *Chat) Update(members []Presence) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return
	}
	listed := make(map[string]Presence, len(members))
	for _, p := range members {
		if p.Name != c.Name {
			listed[p.Name] = p
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.shown)) {
		p := listed[name]
		if p.Addr != "" && p.Incarnation == c.shown[name] {
			continue
		}
		// Here no more, or here again after a restart nobody noticed.
		reason := "gone"
		if p.Graceful || p.Addr != "" {
			reason = "leave"
		}
		delete(c.shown, name)
		c.Events.Emit(event.Event{Kind: event.ChatLeave, Member: name, Reason: reason})
		if reason == "leave" {
			c.drop(name)
		} else if l := c.links[name]; l != nil {
			l.moveTo("")
		}
	}
	for _, p := range slices.SortedFunc(maps.Values(listed), func(a, b Presence) int { return cmp.Compare(a.Name, b.Name) }) {
		if p.Addr == "" {
			if p.Graceful {
				c.drop(p.Name)
			}
			continue
		}
		l := c.links[p.Name]
		if l != nil && l.to.incarnation != p.Incarnation {
			c.drop(p.Name) // what it did not get belongs to an earlier life
			l = nil
		}
		if l == nil {
			l = newLink(c, author{p.Name, p.Incarnation})
			c.links[p.Name] = l
			c.running.Go(l.run)
		}
		l.moveTo(p.Addr)
		if c.shown[p.Name] == 0 {
			c.shown[p.Name] = p.Incarnation
			c.Events.Emit(event.Event{Kind: event.ChatJoin, Member: p.Name, Addr: p.Addr})
		}
	}
	for name, l := range c.links {
		if l.idleFor() > forgetAfter {
			c.drop(name)
		}
	}
}

// drop ends the link to name; the caller holds c.mu.
func (c *Chat) drop(name string) {
	if l := c.links[name]; l != nil {
		l.stop()
		delete(c.links, name)
	}
}

// Members returns everyone in the chat but this peer, by name.
func (c *Chat) Members() []Presence {
	c.mu.Lock()
	defer c.mu.Unlock()
	var members []Presence
	for _, name := range slices.Sorted(maps.Keys(c.shown)) {
		if l := c.links[name]; l != nil {
			members = append(members, Presence{Name: name, Addr: l.addr(), Incarnation: c.shown[name]})
		}
	}
	return members
}

// Send hands text to everyone in the chat and returns at once. Members that
// cannot be reached get it later, as long as they stay members.
func (c *Chat) Send(text string) (ID, error) {
	if err := CheckText(text); err != nil {
		return ID{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.send(text)
}

func (c *Chat) send(text string) (ID, error) {
	if c.ctx.Err() != nil {
		return ID{}, errors.New("this peer has left the chat")
	}
	c.seq++
	id := ID{c.Name, c.Incarnation, c.seq}
	c.Events.Emit(event.Event{Kind: event.ChatSent, Message: id.String(), Text: text})
	for name, l := range c.links {
		if lost := l.enqueue(frame{Kind: message, Seq: c.seq, Text: text}); lost > 0 {
			c.Log.Warn("a member is too slow: dropped its oldest message", "member", name, "waiting", maxWaiting)
		}
	}
	return id, nil
}

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
	if err := CheckText(text); err != nil {
		return Delivery{}, err
	}
	c.mu.Lock()
	d := &Delivery{Acked: make(map[string]time.Duration), Missing: slices.Sorted(maps.Keys(c.shown)), sent: time.Now()}
	id, err := c.send(text)
	if err != nil {
		c.mu.Unlock()
		return Delivery{}, err
	}
	d.ID = id
	c.waiting[id.Seq] = d
	c.mu.Unlock()
	for {
		c.mu.Lock()
		open := slices.ContainsFunc(d.Missing, func(name string) bool { return c.shown[name] != 0 })
		more := c.acked
		if !open || ctx.Err() != nil || c.ctx.Err() != nil {
			delete(c.waiting, id.Seq)
			c.mu.Unlock()
			return *d, nil
		}
		c.mu.Unlock()
		// A member's leaving is no ack: look again now and then.
		again := time.NewTimer(200 * time.Millisecond)
		select {
		case <-more:
		case <-again.C:
		case <-ctx.Done():
		case <-c.ctx.Done():
		}
		again.Stop()
	}
}

// ackedBy notes that name has message seq.
func (c *Chat) ackedBy(name string, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.waiting[seq]; d != nil {
		if i := slices.Index(d.Missing, name); i >= 0 {
			d.Missing = slices.Delete(d.Missing, i, i+1)
			d.Acked[name] = time.Since(d.sent)
		}
	}
	close(c.acked)
	c.acked = make(chan struct{})
}

// flush waits until everyone in the chat has everything sent, or ctx ends.
func (c *Chat) flush(ctx context.Context) {
	for {
		c.mu.Lock()
		open := false
		for name := range c.shown {
			open = open || c.links[name] != nil && c.links[name].pending()
		}
		more := c.acked
		c.mu.Unlock()
		if !open {
			return
		}
		select {
		case <-more:
		case <-ctx.Done():
			return
		}
	}
}

// Leave waits for outstanding acks as long as ctx allows, then closes the
// listener and every connection. Telling the others is membership's part: the
// announcement has to be gone from the metadata before.
func (c *Chat) Leave(ctx context.Context) {
	c.flush(ctx)
	c.stop()
	_ = c.Listener.Close()
	c.mu.Lock()
	for conn := range c.conns {
		_ = conn.Close()
	}
	c.mu.Unlock()
	c.running.Wait()
}

// Ping measures the round trip to a member's chat.
func (c *Chat) Ping(ctx context.Context, name string) (time.Duration, error) {
	c.mu.Lock()
	l := c.links[name]
	here := c.shown[name] != 0
	c.mu.Unlock()
	if l == nil || !here {
		return 0, fmt.Errorf("%s is not in the chat", name)
	}
	start := time.Now()
	conn, err := l.connect(ctx)
	if err != nil {
		return 0, fmt.Errorf("reach the chat of %s: %w", name, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := writeFrame(conn, frame{Kind: ping}); err != nil {
		return 0, fmt.Errorf("ping %s: %w", name, err)
	}
	if _, err := readFrame(conn); err != nil {
		return 0, fmt.Errorf("ping %s: %w", name, cmp.Or(ctx.Err(), err))
	}
	return time.Since(start), nil
}
