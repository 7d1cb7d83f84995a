package chat

import (
	"sync"

	"github.com/hashicorp/memberlist"
)

// MaxGossip is the longest message, encoded, that gossip carries, in bytes: it
// fits a packet of 1400 bytes (UDPBufferSize) beside memberlist's overhead and
// encryption. Longer ones go over connections.
const MaxGossip = 1200

// maxGossiping bounds the messages that wait to be gossiped: who is alone sends
// nothing.
const maxGossiping = 1024

// Gossip carries the chat's messages in memberlist's packets. Everyone to whom
// a message is news gossips it on, RetransmitMult*ceil(log10(N+1)) times,
// because memberlist does not forward user messages.
//
// It implements membership.Channel, whose calls never wait, and outlives the
// chats it carries: what comes while there is none is dropped.
type Gossip struct {
	nodes func() int

	mu    sync.Mutex
	queue *memberlist.TransmitLimitedQueue
	chat  *Chat
}

// NewGossip returns a Gossip for a cluster of as many members as nodes returns;
// it is called from memberlist's goroutines and must not wait. retransmitMult, 1
// or more, is memberlist's setting of that name.
func NewGossip(nodes func() int, retransmitMult int) *Gossip {
	g := &Gossip{nodes: nodes}
	g.SetRetransmitMult(retransmitMult)
	return g
}

// SetRetransmitMult changes how often messages are repeated, 1 or more. Where it
// does, what waits to be sent is dropped: it is for a new membership.
func (g *Gossip) SetRetransmitMult(mult int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.queue == nil || g.queue.RetransmitMult != mult {
		g.queue = &memberlist.TransmitLimitedQueue{NumNodes: g.nodes, RetransmitMult: mult}
	}
}

// waiting returns the queue of the present membership.
func (g *Gossip) waiting() *memberlist.TransmitLimitedQueue {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.queue
}

func (g *Gossip) attach(c *Chat) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.chat = c
}

// detach ends gossip for c, if it has not been replaced already.
func (g *Gossip) detach(c *Chat) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.chat == c {
		g.chat = nil
	}
}

// send gossips e, and says whether it can. The caller holds Chat.mu.
func (g *Gossip) send(e *entry) bool {
	if e.encodedSize() > MaxGossip {
		return false
	}
	g.pass(e.encode(nil))
	return true
}

// pass queues an encoded message.
func (g *Gossip) pass(b []byte) {
	g.mu.Lock()
	c, queue := g.chat, g.queue
	g.mu.Unlock()
	if c == nil {
		return
	}
	c.stats.Gossiped++
	if c.Secret != nil {
		b = c.Secret.Seal(b)
	}
	queue.QueueBroadcast(rumor(b))
	queue.Prune(maxGossiping)
}

// Broadcasts implements membership.Channel.
func (g *Gossip) Broadcasts(overhead, limit int) [][]byte {
	return g.waiting().GetBroadcasts(overhead, limit)
}

// Queue implements membership.Queued.
func (g *Gossip) Queue() (string, *memberlist.TransmitLimitedQueue) { return "chat", g.waiting() }

// Receive implements membership.Channel.
func (g *Gossip) Receive(msg []byte) {
	g.mu.Lock()
	c := g.chat
	g.mu.Unlock()
	if c == nil {
		return
	}
	if c.Secret != nil {
		var ok bool
		if msg, ok = c.Secret.Open(msg); !ok {
			c.bump(&c.stats.Strangers)
			return
		}
	}
	m, err := decodeMessage(msg, "")
	if err != nil {
		c.bump(&c.stats.Malformed)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return
	}
	if c.receive(&m) {
		g.pass(append([]byte(nil), msg...))
	}
	if c.held.count > 0 && c.settled {
		// Its author has what it follows.
		if author := c.find(m.by); author != nil && author.out != nil {
			author.out.askLater(askDelay)
		}
	}
	c.acknowledge()
}

// State implements membership.Channel: sync does better.
func (g *Gossip) State(bool) []byte { return nil }

// Merge implements membership.Channel.
func (g *Gossip) Merge([]byte, bool) {}

// rumor is one message on its way.
type rumor []byte

// Invalidates implements memberlist.Broadcast.
func (rumor) Invalidates(memberlist.Broadcast) bool { return false }

// Message implements memberlist.Broadcast.
func (r rumor) Message() []byte { return r }

// Finished implements memberlist.Broadcast.
func (rumor) Finished() {}

// UniqueBroadcast implements memberlist.UniqueBroadcast.
func (rumor) UniqueBroadcast() {}
