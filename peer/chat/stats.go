package chat

import (
	"errors"
	"net"
	"sync/atomic"
)

// Stats is what a chat has done since Join, in messages unless it says
// otherwise.
type Stats struct {
	Carrier   string `json:"carrier"` // direct or gossip
	Secured   bool   `json:"secured"`
	Members   int    `json:"members"`
	Kept      int    `json:"kept"`
	KeptBytes int    `json:"kept_bytes"`
	Held      int    `json:"held"` // now
	// State is where the conversation is kept: a path, or "memory", with the
	// reason if a state directory was asked for.
	State string `json:"state"`

	Sent       uint64 `json:"sent"`
	Delivered  uint64 `json:"delivered"` // of others
	Earlier    uint64 `json:"earlier"`   // taken in, of before this peer's time
	Pushed     uint64 `json:"pushed"`    // to one member each
	Gossiped   uint64 `json:"gossiped"`  // of whomever, the first time
	Relayed    uint64 `json:"relayed"`   // to one who pulled
	Syncs      uint64 `json:"syncs"`     // taken in
	Pulls      uint64 `json:"pulls"`     // answered
	HeldBack   uint64 `json:"held_back"` // for what they follow
	Duplicates uint64 `json:"duplicates"`
	Refused    uint64 `json:"refused"`   // for want of room to hold them back: they come again
	Skipped    uint64 `json:"skipped"`   // given up: nobody keeps them any more
	Truncated  uint64 `json:"truncated"` // dropped beyond the horizon while a member lacked them

	Malformed uint64 `json:"malformed"` // frames
	Oversized uint64 `json:"oversized"` // frames
	Unknown   uint64 `json:"unknown"`   // frames of a kind of a later version
	Forged    uint64 `json:"forged"`    // of another author than the connection's, or under a member's name from elsewhere
	Unasked   uint64 `json:"unasked"`   // of another author and not asked for
	Strangers uint64 `json:"strangers"` // connections, or gossip, without the secret, or too many unknown to membership

	BytesIn  uint64 `json:"bytes_in"` // of connections
	BytesOut uint64 `json:"bytes_out"`
}

// counters are Stats in the making, guarded by Chat.mu but for the bytes.
type counters struct {
	Stats
	storeError string
	in, out    atomic.Uint64
}

// Stats returns what the chat has done.
func (c *Chat) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats.Stats
	s.Carrier, s.Secured = "direct", c.Secret != nil
	if c.Gossip != nil {
		s.Carrier = "gossip"
	}
	s.Members, s.Held = len(c.shown), c.held.count
	s.Kept, s.KeptBytes = c.history.len(), c.history.bytes
	s.BytesIn, s.BytesOut = c.stats.in.Load(), c.stats.out.Load()
	s.State = "memory"
	if c.store != nil {
		s.State = c.store.path
		if err := c.store.err(); err != nil {
			s.State = "memory: " + err.Error()
		}
	} else if c.stats.storeError != "" {
		s.State += ": " + c.stats.storeError
	}
	return s
}

func (c *Chat) bump(n *uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*n++
}

// countBad counts err if it is about a frame.
func (c *Chat) countBad(err error) {
	if bad := (errBadFrame{}); errors.As(err, &bad) {
		if bad.oversized {
			c.bump(&c.stats.Oversized)
		} else {
			c.bump(&c.stats.Malformed)
		}
	}
}

// counted counts what passes a connection.
type counted struct {
	net.Conn
	in, out *atomic.Uint64
}

func (c *Chat) count(conn net.Conn) net.Conn {
	return counted{conn, &c.stats.in, &c.stats.out}
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.in.Add(uint64(n))
	return n, err
}

func (c counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.out.Add(uint64(n))
	return n, err
}
