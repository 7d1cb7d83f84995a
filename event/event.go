// Package event defines what a peer reports: one typed event for everything
// observed, its form as a JSON line, and the log that keeps and hands on the
// latest of them.
package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"peerlab/terminal"
)

// Kind says what an event is about. The part before the dot is the layer that
// observed it.
type Kind string

// The kinds a peer emits, with the fields each carries besides t, seq, peer
// and kind. Names follow Serf's user events where Serf has one.
const (
	PeerStarted  Kind = "peer.started"  // the first of every run
	PeerReady    Kind = "peer.ready"    // members
	PeerStopping Kind = "peer.stopping" // reason
	// PeerHealth is a change of the peer's own health score.
	PeerHealth Kind = "peer.health" // health
	// PeerTraffic is what the membership layer has sent since it was created,
	// told every five seconds, if there is news, and when it is shut down.
	PeerTraffic Kind = "peer.traffic" // packets streams bytes
	// PeerQueues is how the broadcast queues were found each second since it was
	// told last, and the messages dropped since then because the queue of
	// memberlist's packet handler was full. It is told every five seconds, unless
	// the queues were empty and nothing was dropped, and when membership is shut
	// down.
	PeerQueues Kind = "peer.queues" // text (see FormatQueues) dropped
	// PeerBacklog says that a broadcast queue stays longer than the peer's
	// setting queue-warning: membership, broadcast, or an application's. It is
	// told again when the queue has been shorter meanwhile.
	PeerBacklog Kind = "peer.backlog" // text (which queue) messages (how many wait)

	MemberJoin    Kind = "member.join"    // member addr incarnation was
	MemberSuspect Kind = "member.suspect" // member addr incarnation was health
	MemberRefute  Kind = "member.refute"  // member addr incarnation was
	MemberDead    Kind = "member.dead"    // member addr incarnation was health
	MemberLeft    Kind = "member.left"    // member addr incarnation was
	MemberUpdate  Kind = "member.update"  // member addr incarnation
	// MemberReap says that the peer has forgotten a member. Of itself it says that
	// its membership was shut down by a command: it holds nobody any more.
	MemberReap     Kind = "member.reap"     // member addr incarnation was; or member reason
	MemberConflict Kind = "member.conflict" // member addr (of the other holder of the name)

	// ChatStart is the beginning of a life of the peer's own chat.
	ChatStart     Kind = "chat.start"     // life messages (that it keeps in any case)
	ChatJoin      Kind = "chat.join"      // member life
	ChatLeave     Kind = "chat.leave"     // member reason
	ChatSent      Kind = "chat.sent"      // message text shell
	ChatDelivered Kind = "chat.delivered" // message member text
	// ChatSkipped says that messages of a member were given up, because nobody
	// keeps them any more: so many, the last of which is named.
	ChatSkipped Kind = "chat.skipped" // message member messages

	// BroadcastSet says that the peer has set a key of the broadcast map, or has
	// taken over that member has. Digest stands for the text, which may be a
	// secret. Reason is set if a deletion of the key may have been forgotten.
	BroadcastSet Kind = "broadcast.set" // key member (the author) version digest via reason
	// BroadcastDeleted says that the peer has deleted a key, or has taken over
	// that member has. Reason says why, if nobody has deleted it just now.
	BroadcastDeleted Kind = "broadcast.deleted" // key member (the author) version via reason

	BootstrapJoin   Kind = "bootstrap.join"   // url members
	BootstrapRefill Kind = "bootstrap.refill" // url members
	BootstrapLeave  Kind = "bootstrap.leave"  // url member
	BootstrapError  Kind = "bootstrap.error"  // url error shell
)

// Kinds returns all kinds that a peer emits.
func Kinds() []Kind {
	return []Kind{
		PeerStarted, PeerReady, PeerStopping, PeerHealth, PeerTraffic, PeerQueues, PeerBacklog,
		MemberJoin, MemberSuspect, MemberRefute, MemberDead, MemberLeft, MemberUpdate, MemberReap, MemberConflict,
		ChatStart, ChatJoin, ChatLeave, ChatSent, ChatDelivered, ChatSkipped,
		BroadcastSet, BroadcastDeleted,
		BootstrapJoin, BootstrapRefill, BootstrapLeave, BootstrapError,
	}
}

// IsPeriodic reports whether peers report events of this kind every few seconds
// whatever happens: among others they are not shown to people unless asked for.
func (k Kind) IsPeriodic() bool { return k == PeerTraffic || k == PeerQueues }

// How a write of the broadcast map came to the peer that reports it.
const (
	ViaOwn      = "own" // by a command of that peer
	ViaGossip   = "gossip"
	ViaPushPull = "push/pull"
)

// MembershipEnded is the reason of ChatLeave and MemberReap where the observer
// itself has no membership any more, and knows nothing of the others.
const MembershipEnded = "own membership ended"

// Event is one observation of one peer.
type Event struct {
	// Time is when it happened. Where memberlist stamped the change itself,
	// this is memberlist's stamp, which may lie up to a few tens of
	// milliseconds before the event was logged.
	Time time.Time `json:"t"`
	// Seq numbers the events of one run of one peer from 1 without gaps, in the
	// order in which they were logged.
	Seq  uint64 `json:"seq"`
	Peer string `json:"peer"` // the observer
	Kind Kind   `json:"kind"`

	Member      string `json:"member,omitempty"`      // the peer observed
	Addr        string `json:"addr,omitempty"`        // its membership address, host:port
	Incarnation uint32 `json:"incarnation,omitempty"` // its incarnation after the change
	Was         string `json:"was,omitempty"`         // its state before the change
	Health      int    `json:"health,omitempty"`      // the observer's own health score (0 is best)
	Members     int    `json:"members,omitempty"`     // how many
	Message     string `json:"message,omitempty"`     // a chat message's id, author/incarnation/sequence
	Text        string `json:"text,omitempty"`        // a chat message's text
	Life        uint64 `json:"life,omitempty"`        // which incarnation of the member's chat, or of the observer's own
	Messages    uint64 `json:"messages,omitempty"`    // how many messages
	Dropped     uint64 `json:"dropped,omitempty"`     // how many messages were dropped unread
	Packets     uint64 `json:"packets,omitempty"`     // how many UDP packets were sent
	Streams     uint64 `json:"streams,omitempty"`     // how many TCP connections were made
	Bytes       uint64 `json:"bytes,omitempty"`       // in those packets, and in those connections both ways
	Key         string `json:"key,omitempty"`         // of the broadcast map, 64 bytes at most
	Version     uint64 `json:"version,omitempty"`     // of that key: the clock of the write
	Digest      string `json:"digest,omitempty"`      // of that key's text: 16 hexadecimal digits
	Via         string `json:"via,omitempty"`         // how it came: own, gossip or push/pull; empty if this peer removed it by itself
	URL         string `json:"url,omitempty"`         // the bootstrap service, without user information
	Shell       string `json:"shell,omitempty"`       // the shell at the observer in which it was typed
	Reason      string `json:"reason,omitempty"`
	Error       string `json:"error,omitempty"`
}

// MaxLine is the longest line Decode accepts, in bytes.
const MaxLine = 1 << 20

// Encode returns e as one JSON line, newline included. Text from other peers
// is escaped by JSON, so that a line is always one line.
func (e Event) Encode() []byte {
	e.Time = e.Time.UTC()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		// Only a year outside 0..9999 can fail here: keep the event, lose the time.
		e.Time = time.Time{}
		b.Reset()
		_ = enc.Encode(e)
	}
	return terminal.EscapeJSON(b.Bytes())
}

// Decode parses one line written by Encode. Unknown fields are ignored, so
// that an older reader can read a newer peer.
func Decode(line []byte) (Event, error) {
	if len(line) > MaxLine {
		return Event{}, fmt.Errorf("event line of %d bytes: the limit is %d", len(line), MaxLine)
	}
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		return Event{}, fmt.Errorf("parse event line: %w", err)
	}
	switch {
	case e.Kind == "":
		return Event{}, errors.New("parse event line: no kind")
	case e.Time.IsZero():
		return Event{}, errors.New("parse event line: no time t")
	}
	return e, nil
}
