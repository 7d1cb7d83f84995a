package observe

import (
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"peerlab/event"
	"peerlab/testbed"
)

// author is one life of a member's chat.
type author struct {
	name        string
	incarnation uint64
}

// messageID is a chat message's id, taken apart.
type messageID struct {
	author
	seq uint64
}

// parseMessage reads author/incarnation/sequence.
func parseMessage(s string) (id messageID, ok bool) {
	name, rest, _ := strings.Cut(s, "/")
	incarnation, seq, ok := strings.Cut(rest, "/")
	if !ok || name == "" {
		return id, false
	}
	i, err := strconv.ParseUint(incarnation, 10, 64)
	if err != nil {
		return id, false
	}
	n, err := strconv.ParseUint(seq, 10, 64)
	return messageID{author{name, i}, n}, err == nil && n > 0
}

// Delivery is what a history shows of the chat's messages.
type Delivery struct {
	Sent int
	// Expected is the number of deliveries if each message had reached everyone
	// who was in the chat when it was sent, its author excepted; Delivered is how
	// many of these there were. A member is in the chat from when somebody saw it
	// join until somebody saw it leave by itself, or it ended.
	Expected, Delivered int
	// Late counts the deliveries beyond those: to members who came later, or
	// were back in a new life.
	Late int
	// Duplicates counts the deliveries of what the same life of the same member
	// had delivered already.
	Duplicates int
	// Reordered counts the deliveries after a later message of the same author.
	Reordered int
	// Latency is the time from sending to each delivery that is no duplicate, in
	// microseconds, to three digits. It needs the clocks of the peers to agree,
	// as they do on one host.
	Latency *hdrhistogram.Histogram
}

// longest is the longest latency told apart from longer ones.
const longest = 24 * time.Hour

// Deliveries measures the chat of a history: what was sent from since on.
func Deliveries(events []event.Event, since time.Time) Delivery {
	events = testbed.Sorted(events)
	d := Delivery{Latency: hdrhistogram.New(1, longest.Microseconds(), 3)}
	sent := sendings(events)
	for _, s := range sent {
		if s.at.Before(since) {
			continue
		}
		d.Sent++
		d.Expected += len(s.expected)
	}
	readers := make(map[string]*reader)
	for _, e := range events {
		if e.Kind == event.PeerStarted {
			delete(readers, e.Peer)
		}
		id, ok := parseMessage(e.Message)
		if e.Kind != event.ChatDelivered || !ok {
			continue
		}
		r := readers[e.Peer]
		if r == nil {
			r = &reader{got: make(map[messageID]bool), highest: make(map[author]uint64)}
			readers[e.Peer] = r
		}
		s, known := sent[id]
		if known && s.at.Before(since) {
			continue
		}
		if r.got[id] {
			d.Duplicates++
			continue
		}
		r.got[id] = true
		if id.seq < r.highest[id.author] {
			d.Reordered++
		}
		r.highest[id.author] = max(r.highest[id.author], id.seq)
		if !known {
			continue // a checker tells of it
		}
		if s.expected[e.Peer] {
			delete(s.expected, e.Peer)
			d.Delivered++
		} else {
			d.Late++
		}
		took := min(max(0, e.Time.Sub(s.at)), longest)
		_ = d.Latency.RecordValue(max(1, took.Microseconds())) // within the bounds
	}
	return d
}

// reader is what one life of a member has delivered.
type reader struct {
	got     map[messageID]bool
	highest map[author]uint64
}

type sending struct {
	at       time.Time
	expected map[string]bool // who was in the chat and has not got it
}

// sendings returns what was sent, and to whom. It is a pass of its own because
// in virtual time a message can be delivered at the instant at which it is sent.
func sendings(events []event.Event) map[messageID]sending {
	sent := make(map[messageID]sending)
	present := make(map[string]bool)
	ended := make(map[string]bool)
	for _, e := range events {
		switch e.Kind {
		case event.PeerStarted:
			delete(present, e.Peer)
			delete(ended, e.Peer)
		case event.PeerStopping:
			delete(present, e.Peer)
			ended[e.Peer] = true
		case testbed.LabKill, testbed.LabStop, testbed.LabExit:
			delete(present, e.Member)
			ended[e.Member] = true
		case event.ChatJoin:
			if !ended[e.Member] { // else somebody learns late of a life that is over
				present[e.Member] = true
			}
		case event.ChatLeave:
			if e.Reason == "leave" {
				delete(present, e.Member)
			}
		case event.ChatSent:
			id, ok := parseMessage(e.Message)
			if !ok {
				break
			}
			s := sending{e.Time, make(map[string]bool)}
			for member := range present {
				if member != e.Peer {
					s.expected[member] = true
				}
			}
			sent[id] = s
		}
	}
	return sent
}
