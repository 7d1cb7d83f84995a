package record

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
)

// externalEvents makes events of what Docker tells that others have done to peers:
// another peerlab, docker kill, or nobody, when a process ended by itself. What
// this engine does is in the history before it is done; Docker tells of that
// too, and then Decode returns nothing.
type externalEvents struct {
	mu     sync.Mutex
	own    map[dockerAction][]time.Time // asked for by this engine, not heard of yet
	ending map[string]bool              // by id: somebody else has sent it a signal that ends it
	memory map[string]bool              // by id: the kernel has killed a process of it that took too much
	muted  bool                         // all that comes is the removal of the cluster
}

// dockerAction is something done to a container, in Docker's words.
type dockerAction struct {
	id     string
	action events.Action
}

// echoTimeout is how long Docker has to tell of what this engine does: what it has
// not told by then, it did not see.
const echoTimeout = time.Minute

// newExternalEvents returns an externalEvents to which nothing has happened yet.
func newExternalEvents() *externalEvents {
	return &externalEvents{own: make(map[dockerAction][]time.Time), ending: make(map[string]bool), memory: make(map[string]bool)}
}

// Expect tells that this engine is about to do something to a container. The
// function it returns takes that back.
func (o *externalEvents) Expect(id string, action events.Action) (withdraw func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := dockerAction{id, action}
	at := time.Now()
	o.own[d] = append(o.own[d], at)
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.own[d] = slices.DeleteFunc(o.own[d], at.Equal)
	}
}

// Mute makes Decode return nothing from now on.
func (o *externalEvents) Mute() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.muted = true
}

// Expects reports whether this engine has done something to a container of which
// Docker has not told yet.
func (o *externalEvents) Expects(id string, action events.Action) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.expected(dockerAction{id, action}, false)
}

// expected reports whether this engine has done d, and forgets it if once is all.
func (o *externalEvents) expected(d dockerAction, forget bool) bool {
	o.own[d] = slices.DeleteFunc(o.own[d], func(at time.Time) bool { return time.Since(at) > echoTimeout })
	if len(o.own[d]) == 0 {
		delete(o.own, d)
		return false
	}
	if forget {
		o.own[d] = o.own[d][1:]
	}
	return true
}

// Decode makes an event of what Docker tells of the container of a peer, if it is
// somebody else's doing.
func (o *externalEvents) Decode(msg events.Message, m testbed.Peer) (e event.Event, isExternal bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	id := msg.Actor.ID
	e = event.Event{Time: time.Unix(0, msg.TimeNano), Member: m.Name}
	if o.muted {
		return e, false
	}
	if msg.Action == events.ActionKill {
		if o.expected(dockerAction{id, events.ActionDie}, false) {
			return e, false
		}
		switch msg.Actor.Attributes["signal"] {
		case "9":
			e.Kind = testbed.LabKill
		case "15", "2": // what stops our peers, and serf
			e.Kind = testbed.LabStop
		default:
			return e, false
		}
		// A stop that was not obeyed becomes a kill: one event for both.
		if o.ending[id] {
			return e, false
		}
		o.ending[id] = true
		return e, true
	}
	if msg.Action == events.ActionStart {
		delete(o.memory, id)
	}
	if o.expected(dockerAction{id, msg.Action}, true) {
		return e, false
	}
	switch msg.Action {
	case events.ActionOOM:
		o.memory[id] = true // which may be that of a line it ran: its end comes next, or not
		return e, false
	case events.ActionStart:
		e.Kind, e.Addr = testbed.LabStart, addrText(m.Addr)
	case events.ActionDie:
		if o.ending[id] {
			delete(o.ending, id)
			return e, false
		}
		e.Kind, e.Text = testbed.LabExit, msg.Actor.Attributes["exitCode"]
		if o.memory[id] && e.Text == "137" {
			e.Reason = testbed.OutOfMemory
		}
	case events.ActionPause:
		e.Kind = testbed.LabPause
	case events.ActionUnPause:
		e.Kind = testbed.LabResume
	case events.ActionUpdate:
		e.Kind = testbed.LabThrottle
	default:
		return e, false
	}
	return e, true
}

// eventFilters choose what Docker is to tell of, for Decode and for who looks at
// networks.
func eventFilters() client.Filters {
	f := make(client.Filters).Add("type", string(events.ContainerEventType), string(events.NetworkEventType))
	for _, action := range []events.Action{
		events.ActionConnect, events.ActionDisconnect, // of networks
		events.ActionCreate, events.ActionStart, events.ActionKill, events.ActionDie, events.ActionPause, events.ActionUnPause, events.ActionUpdate,
		events.ActionOOM, events.ActionDestroy,
	} {
		f.Add("event", string(action))
	}
	return f
}

// addrText returns an address in the form of an event: "" for none.
func addrText(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	return addr.String()
}
