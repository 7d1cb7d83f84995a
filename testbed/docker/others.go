package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
)

// others makes events of what Docker tells that others have done to peers:
// another peerlab, docker kill, or nobody, when a process ended by itself. What
// this engine does is in the history before it is done; Docker tells of that
// too, and then others is silent.
type others struct {
	mu     sync.Mutex
	own    map[deed][]time.Time // asked for by this engine, not heard of yet
	ending map[string]bool      // by id: somebody else has sent it a signal that ends it
	memory map[string]bool      // by id: the kernel has killed a process of it that took too much
	rests  bool                 // all that comes is the removal of the cluster
}

// deed is something done to a container, in Docker's words.
type deed struct {
	id     string
	action events.Action
}

// patience with Docker: what it has not told after so long, it did not see.
const hearWithin = time.Minute

func newOthers() *others {
	return &others{own: make(map[deed][]time.Time), ending: make(map[string]bool), memory: make(map[string]bool)}
}

// expect tells that this engine is about to do something. The function it
// returns takes that back.
func (o *others) expect(d deed) (withdraw func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := time.Now()
	o.own[d] = append(o.own[d], at)
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.own[d] = slices.DeleteFunc(o.own[d], at.Equal)
	}
}

// rest has it tell of nothing more.
func (o *others) rest() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rests = true
}

// asked says whether this engine has done d and has not heard of it yet.
func (o *others) asked(d deed) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.expected(d, false)
}

// expected says whether this engine has done d, and forgets it if once is all.
func (o *others) expected(d deed, forget bool) bool {
	o.own[d] = slices.DeleteFunc(o.own[d], func(at time.Time) bool { return time.Since(at) > hearWithin })
	if len(o.own[d]) == 0 {
		delete(o.own, d)
		return false
	}
	if forget {
		o.own[d] = o.own[d][1:]
	}
	return true
}

// tell makes an event of what Docker tells of a member, if it is somebody
// else's doing.
func (o *others) tell(msg events.Message, m container) (e event.Event, tells bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e = event.Event{Time: time.Unix(0, msg.TimeNano), Member: m.Name}
	if o.rests {
		return e, false
	}
	if msg.Action == events.ActionKill {
		if o.expected(deed{m.id, events.ActionDie}, false) {
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
		if o.ending[m.id] {
			return e, false
		}
		o.ending[m.id] = true
		return e, true
	}
	if msg.Action == events.ActionStart {
		delete(o.memory, m.id)
	}
	if o.expected(deed{m.id, msg.Action}, true) {
		return e, false
	}
	switch msg.Action {
	case events.ActionOOM:
		o.memory[m.id] = true // which may be that of a line it ran: its end comes next, or not
		return e, false
	case events.ActionStart:
		e.Kind, e.Addr = testbed.LabStart, m.Addr.String()
	case events.ActionDie:
		if o.ending[m.id] {
			delete(o.ending, m.id)
			return e, false
		}
		e.Kind, e.Text = testbed.LabExit, msg.Actor.Attributes["exitCode"]
		if o.memory[m.id] && e.Text == "137" {
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

// told is what Docker is to be asked for.
func told() client.Filters {
	f := make(client.Filters).Add("type", string(events.ContainerEventType))
	for _, action := range []events.Action{
		events.ActionStart, events.ActionKill, events.ActionDie, events.ActionPause, events.ActionUnPause, events.ActionUpdate,
		events.ActionOOM, events.ActionDestroy,
	} {
		f.Add("event", string(action))
	}
	return f
}

// hear records what Docker tells that others have done to one of the members.
func (c *Cluster) hear(msg events.Message, members map[string]container) {
	m, ours := members[msg.Actor.ID]
	if !ours {
		return
	}
	e, tells := c.others.tell(msg, m)
	if !tells {
		return
	}
	if e.Kind == testbed.LabThrottle {
		var changed bool
		if e.Text, changed = c.newThrottle(m.id); !changed {
			return
		}
	}
	c.history.Record(e)
}

// newThrottle returns how many processors a container may use, as Throttle was
// given it, and whether that is news: Docker tells of a change of whatever limit
// in the same words.
func (c *Cluster) newThrottle(id string) (cpus string, changed bool) {
	cpus, err := c.daemon.processors(c.ctx, id)
	if err != nil {
		return "", false // it is gone
	}
	return cpus, c.noteThrottle(id, cpus)
}

// noteThrottle notes how many processors a container may use, and reports
// whether it was another number. At first a container may use all.
func (c *Cluster) noteThrottle(id, cpus string) (changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, known := c.throttles[id]
	c.throttles[id] = cpus
	return known && cpus != before || !known && cpus != unthrottled
}

// unthrottled is how many processors a container may use that may use all.
const unthrottled = "0"

// processors returns how many processors a container may use.
func (d *Daemon) processors(ctx context.Context, id string) (string, error) {
	info, err := d.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return "", fmt.Errorf("look at a container: %w", err)
	}
	if info.Container.HostConfig == nil {
		return unthrottled, nil
	}
	return processors(info.Container.HostConfig.Resources), nil
}

// processors is what limits allow: docker update --cpus sets another one of them
// than Throttle.
func processors(r api.Resources) string {
	switch {
	case r.NanoCPUs > 0:
		return strconv.FormatFloat(float64(r.NanoCPUs)/1e9, 'g', -1, 64)
	case r.CPUQuota > 0 && r.CPUPeriod > 0:
		return strconv.FormatFloat(float64(r.CPUQuota)/float64(r.CPUPeriod), 'g', -1, 64)
	}
	return unthrottled
}

// done returns what has been done to the members so far, as far as Docker
// remembers: the latest 256 events of its host, of whatever kind.
func (c *Cluster) done(ctx context.Context, members []container) ([]event.Event, error) {
	o := newOthers()
	byID := byID(members)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream := c.daemon.api.Events(ctx, client.EventsListOptions{
		Since: made(members), Until: stamp(time.Now()), Filters: told(),
	})
	var all []event.Event
	last := make(map[string]int) // start of each: where it was at others is not known
	for {
		select {
		case msg := <-stream.Messages:
			m, ours := byID[msg.Actor.ID]
			if !ours {
				continue
			}
			e, tells := o.tell(msg, m)
			if !tells {
				continue
			}
			if e.Kind == testbed.LabThrottle && !c.daemon.everThrottled(ctx, m.id) {
				continue
			}
			if e.Peer = testbed.Lab; e.Kind == testbed.LabStart {
				if before, again := last[m.id]; again {
					all[before].Addr = ""
				}
				last[m.id] = len(all)
			}
			all = append(all, e)
		case err := <-stream.Err:
			if err != nil && !errors.Is(err, io.EOF) {
				return all, fmt.Errorf("what was done to the peers: %w", err)
			}
			return all, nil
		}
	}
}

// everThrottled reports whether the processors of a container were limited at
// some time: which of several changes of its limits it was, Docker does not keep.
func (d *Daemon) everThrottled(ctx context.Context, id string) bool {
	info, err := d.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil || info.Container.HostConfig == nil {
		return true // as Docker tells of it
	}
	r := info.Container.HostConfig.Resources
	return r.CPUQuota != 0 || r.NanoCPUs != 0 // a limit that was lifted is -1
}

// made is when the first of the members was made, in Docker's form.
func made(members []container) string {
	if len(members) == 0 {
		return stamp(time.Now())
	}
	first := slices.MinFunc(members, func(a, b container) int { return cmp.Compare(a.created, b.created) })
	return strconv.FormatInt(first.created, 10)
}

func stamp(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }

func byID(members []container) map[string]container {
	by := make(map[string]container, len(members))
	for _, m := range members {
		by[m.id] = m
	}
	return by
}
