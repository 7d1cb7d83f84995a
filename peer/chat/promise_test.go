package chat

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"peerlab/event"
)

// life is one life of a member as the promises see it.
type life struct {
	name        string
	incarnation uint64
	began       time.Time
	ended       time.Time // if it is not up
	log         *event.Log
	up          bool // to the end
}

// lifeAt is who joined: the tests' addresses tell which life it is.
func lifeAt(e event.Event) writer {
	_, incarnation, _ := strings.Cut(e.Addr, "/")
	n, _ := strconv.ParseUint(incarnation, 10, 64)
	return writer{e.Member, n}
}

// promises checks what the chat promises of the lives that were up and
// connected at the end, each the latest of its name:
//
//   - integrity: nothing is delivered twice in a life, and nothing that was not
//     sent so;
//   - causal order: what the author had seen when it sent something is not
//     delivered after it;
//   - validity and agreement: what one of them sent or delivered, another has
//     delivered, if the message's author knew it to be in the chat when it sent
//     the message.
func promises(lives []*life) []string {
	var broken []string
	fail := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }

	type sending struct {
		text   string
		causes map[string]bool
		to     map[writer]bool // whom the author knew to be in the chat
	}
	sent := make(map[string]sending)
	for _, l := range lives {
		seen, met := make(map[string]bool), make(map[writer]bool)
		events, _ := l.log.Since(0)
		for _, e := range events {
			switch e.Kind {
			case event.ChatJoin:
				met[lifeAt(e)] = true
			case event.ChatSent:
				if _, twice := sent[e.Message]; twice {
					fail("integrity: %s was sent twice", e.Message)
				}
				sent[e.Message] = sending{e.Text, maps.Clone(seen), maps.Clone(met)}
				seen[e.Message] = true
			case event.ChatDelivered:
				seen[e.Message] = true
			}
		}
	}
	for _, l := range lives {
		place := make(map[string]int)
		events, _ := l.log.Since(0)
		for i, e := range events {
			if e.Kind != event.ChatDelivered {
				continue
			}
			s, ok := sent[e.Message]
			switch _, twice := place[e.Message]; {
			case !ok || s.text != e.Text:
				fail("integrity: %s/%d delivered %s, which was not sent so", l.name, l.incarnation, e.Message)
			case twice:
				fail("integrity: %s/%d delivered %s twice", l.name, l.incarnation, e.Message)
			}
			place[e.Message] = i
		}
		for id, i := range place {
			for cause := range sent[id].causes {
				if j, delivered := place[cause]; delivered && j > i {
					fail("causal order: %s/%d delivered %s before its cause %s", l.name, l.incarnation, id, cause)
				}
			}
		}
	}
	for _, q := range lives {
		if !q.up {
			continue
		}
		has := make(map[string]bool)
		given := make(map[string]uint64) // up
		events, _ := q.log.Since(0)
		for _, e := range events {
			if e.Kind == event.ChatSkipped {
				stream, seq := cutID(e.Message)
				given[stream] = seq
			}
			if e.Kind == event.ChatDelivered || e.Kind == event.ChatSent {
				has[e.Message] = true
			}
		}
		for _, p := range lives {
			if !p.up || p == q {
				continue
			}
			events, _ := p.log.Since(0)
			for _, e := range events {
				stream, seq := cutID(e.Message)
				switch owed := sent[e.Message].to[writer{q.name, q.incarnation}]; {
				case !owed || has[e.Message] || seq <= given[stream]:
				case e.Kind == event.ChatDelivered:
					fail("agreement: %s delivered %s, %s never did", p.name, e.Message, q.name)
				case e.Kind == event.ChatSent:
					fail("validity: %s sent %s, %s never delivered it", p.name, e.Message, q.name)
				}
			}
		}
	}
	return broken
}

// cutID cuts a message's id into its writer and its number.
func cutID(id string) (of string, seq uint64) {
	i := strings.LastIndexByte(id, '/')
	seq, _ = strconv.ParseUint(id[i+1:], 10, 64)
	return id[:max(i, 0)], seq
}
