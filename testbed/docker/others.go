package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/docker/record"
)

// hear records what Docker tells that others have done to one of the members.
func (c *Cluster) hear(msg events.Message, members map[string]dockerd.Member) {
	if msg.Type == events.NetworkEventType || msg.Action == events.ActionStart {
		c.lookAtNetwork(msg, members)
	}
	m, ours := members[msg.Actor.ID]
	if !ours {
		return
	}
	e, isExternal := c.external.Decode(msg, m.Peer)
	if !isExternal {
		return
	}
	if e.Kind == testbed.LabThrottle {
		var changed bool
		if e.Text, changed = c.newThrottle(m.ID); !changed {
			return
		}
	}
	c.history.Record(e)
}

// newThrottle returns how many processors a container may use, as Throttle was
// given it, and whether that is news: Docker tells of a change of whatever limit
// in the same words.
func (c *Cluster) newThrottle(id string) (cpus string, changed bool) {
	cpus, err := c.processors(c.ctx, id)
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
func (c *Cluster) processors(ctx context.Context, id string) (string, error) {
	info, err := c.daemon.API.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return "", fmt.Errorf("look at a container: %w", err)
	}
	return processors(resourcesOf(info)), nil
}

func resourcesOf(info client.ContainerInspectResult) api.Resources {
	if info.Container.HostConfig == nil {
		return api.Resources{}
	}
	return info.Container.HostConfig.Resources
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

// lookAtNetwork records whether members that run have left the network of their
// cluster, or have come back to it, if Docker tells of something that may be that:
// it tells of the end of a container in the same words. Members has all that it
// told of before.
func (c *Cluster) lookAtNetwork(msg events.Message, members map[string]dockerd.Member) {
	id := msg.Actor.ID
	if msg.Type == events.NetworkEventType {
		id = msg.Actor.Attributes["container"]
	}
	before, ours := members[id]
	if !ours {
		if msg.Action == events.ActionConnect {
			c.lookAtStranger(msg.Actor.Attributes["name"], members)
		}
		return
	}
	if before.Network == "" || msg.Type == events.NetworkEventType && msg.Actor.Attributes["name"] != before.Network {
		return // another network
	}
	c.mu.Lock()
	_, wasOff := c.off[id]
	c.mu.Unlock()
	if msg.Action != events.ActionDisconnect && !before.OffNetwork && !wasOff {
		return // each container that starts is connected
	}
	// Docker tells of it before its list of containers has it: an answer about the
	// container itself waits for that.
	info, err := c.daemon.API.ContainerInspect(c.ctx, id, client.ContainerInspectOptions{})
	if err != nil || info.Container.State == nil {
		if err != nil && c.ctx.Err() == nil && !errdefs.IsNotFound(err) {
			c.problem("", err)
		}
		return
	}
	now := before
	now.State = dockerd.StateOf(info.Container.State.Status)
	var on *network.EndpointSettings
	if info.Container.NetworkSettings != nil {
		on = info.Container.NetworkSettings.Networks[before.Network]
	}
	if now.OffNetwork = on == nil; !now.OffNetwork {
		now.Addr = dockerd.AddrOf(on)
	}
	members[id] = now
	c.noteNetwork(now, time.Unix(0, msg.TimeNano))
}

// noteNetwork records that a member is off its network, or on it again, if that
// is news.
func (c *Cluster) noteNetwork(m dockerd.Member, at time.Time) {
	isOff := m.OffNetwork && m.State != testbed.Stopped
	c.mu.Lock()
	_, wasOff := c.off[m.ID]
	network := cmp.Or(c.off[m.ID], m.Network)
	if isOff {
		c.off[m.ID] = network
	} else if !m.OffNetwork {
		delete(c.off, m.ID)
	}
	c.mu.Unlock()
	switch {
	case isOff && !wasOff:
		c.history.Record(event.Event{Time: at, Kind: testbed.LabDisconnect, Member: m.Name, Text: network})
	case wasOff && !m.OffNetwork:
		c.history.Record(event.Event{Time: at, Kind: testbed.LabConnect, Member: m.Name, Addr: m.Addr.String(), Text: network})
	}
}

// lookAtStranger looks at who came to a network that may be the cluster's: with
// the address of a member, links would be those of the two.
func (c *Cluster) lookAtStranger(name string, members map[string]dockerd.Member) {
	all := slices.Collect(maps.Values(members))
	if name == "" || networkOf(all) != name {
		return
	}
	info, err := c.daemon.API.NetworkInspect(c.ctx, name, client.NetworkInspectOptions{})
	if err == nil {
		err = checkOwners(all, info.Network)
	}
	if err != nil && c.ctx.Err() == nil && !errdefs.IsNotFound(err) {
		c.problem("", err)
	}
}

// recall records what was done to a cluster before this engine looked, and returns
// from when on Docker is to be asked for more.
func (c *Cluster) recall() (since time.Time) {
	now := time.Now()
	members, err := c.daemon.List(c.ctx, c.name)
	var done []event.Event
	if err == nil {
		done, err = c.done(c.ctx, members, c.external, now)
	}
	if err != nil {
		if c.ctx.Err() == nil {
			c.problem("", err)
		}
		return now
	}
	for _, e := range testbed.Sorted(done) {
		if e.Kind == testbed.LabDisconnect {
			continue // noteNetwork tells, and remembers it
		}
		c.history.Record(e)
	}
	_ = dockerd.Each(members, func(_ int, m dockerd.Member) error {
		if cpus, err := c.processors(c.ctx, m.ID); err == nil {
			c.noteThrottle(m.ID, cpus)
		}
		return nil
	})
	for _, m := range members {
		at := now
		for _, e := range done {
			if e.Kind == testbed.LabDisconnect && e.Member == m.Name {
				at = e.Time
			}
		}
		c.noteNetwork(m, at)
	}
	return now
}

// done returns what has been done to the members until a time: what Docker
// remembers, and what shows in the containers of the rest.
func (c *Cluster) done(ctx context.Context, members []dockerd.Member, external *record.ExternalEvents, until time.Time) ([]event.Event, error) {
	all, seen, err := c.remembered(ctx, members, external, until)
	if err != nil {
		return all, err
	}
	shown, err := c.forgotten(ctx, members, seen, until)
	return append(all, shown...), err
}

// remembered returns what has been done to the members until a time, as far as
// Docker remembers: the latest 256 events of its host, of whatever kind.
func (c *Cluster) remembered(ctx context.Context, members []dockerd.Member, external *record.ExternalEvents, until time.Time) (all []event.Event, seen memories, err error) {
	byID := byID(members)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if len(members) == 0 {
		return nil, nil, nil
	}
	stream := c.daemon.API.Events(ctx, client.EventsListOptions{
		Since: made(members), Until: stamp(until), Filters: record.EventFilters(),
	})
	last := make(map[string]int) // start of each: where it was at others is not known
	seen = make(memories)
	for {
		select {
		case msg := <-stream.Messages:
			seen.add(msg)
			m, ours := byID[msg.Actor.ID]
			if !ours {
				continue
			}
			e, isExternal := external.Decode(msg, m.Peer)
			if !isExternal {
				continue
			}
			if e.Kind == testbed.LabThrottle && !c.everThrottled(ctx, m.ID) {
				continue
			}
			if e.Peer = testbed.Lab; e.Kind == testbed.LabStart {
				if before, again := last[m.ID]; again {
					all[before].Addr = ""
				}
				last[m.ID] = len(all)
			}
			all = append(all, e)
		case err := <-stream.Err:
			if err != nil && !errors.Is(err, io.EOF) {
				return all, seen, fmt.Errorf("what was done to the peers: %w", err)
			}
			return all, seen, nil
		}
	}
}

// memories are what Docker remembers of each container, by its id.
type memories map[string]memory

type memory struct {
	created           bool // from its beginning
	started, ended    time.Time
	paused, throttled bool
	off               time.Time // when it was taken off a network, if it was
}

func (r memories) add(msg events.Message) {
	at, id := time.Unix(0, msg.TimeNano), msg.Actor.ID
	if msg.Type == events.NetworkEventType {
		id = msg.Actor.Attributes["container"]
	}
	m := r[id]
	switch msg.Action {
	case events.ActionCreate:
		m.created = msg.Type == events.ContainerEventType
	case events.ActionStart:
		m.started = at
	case events.ActionDie:
		m.ended = at
	case events.ActionPause:
		m.paused = true
	case events.ActionUpdate:
		m.throttled = true
	case events.ActionDisconnect:
		m.off = at
	}
	r[id] = m
}

// forgotten returns what Docker does not remember having told and what shows in
// the containers all the same: how their lives began and ended, and what they are
// now. That something is missing is among it.
func (c *Cluster) forgotten(ctx context.Context, members []dockerd.Member, seen memories, until time.Time) ([]event.Event, error) {
	shown := make([][]event.Event, len(members))
	err := dockerd.Each(members, func(i int, m dockerd.Member) (err error) {
		shown[i], err = c.shows(ctx, m, seen[m.ID], until)
		return err
	})
	all := slices.Concat(shown...)
	if slices.ContainsFunc(members, func(m dockerd.Member) bool { return !seen[m.ID].created }) {
		all = append(all, event.Event{Time: until, Peer: testbed.Lab, Kind: testbed.LabError, Error: forgottenByDocker})
	}
	return all, err
}

// shows returns what a container shows of what was done to it, beside what Docker
// remembers.
func (c *Cluster) shows(ctx context.Context, m dockerd.Member, known memory, until time.Time) (all []event.Event, err error) {
	add := func(at time.Time, e event.Event) {
		e.Time, e.Peer, e.Member = at, testbed.Lab, m.Name
		all = append(all, e)
	}
	if m.OffNetwork && m.State != testbed.Stopped {
		at := until
		if !known.off.IsZero() {
			at = known.off
		}
		add(at, event.Event{Kind: testbed.LabDisconnect, Text: m.Network})
	}
	if known.created {
		return all, nil
	}
	info, err := c.daemon.API.ContainerInspect(ctx, m.ID, client.ContainerInspectOptions{})
	state := info.Container.State
	switch {
	case errdefs.IsNotFound(err), err == nil && state == nil:
		return all, nil
	case err != nil:
		return all, fmt.Errorf("look at %s: %w", m.Name, err)
	}
	started, ended := parseTime(state.StartedAt), parseTime(state.FinishedAt)
	if !started.IsZero() && known.started.IsZero() {
		add(started, event.Event{Kind: testbed.LabStart, Addr: record.AddrText(m.Addr)})
	}
	if state.Paused && !known.paused {
		add(until, event.Event{Kind: testbed.LabPause})
	}
	if cpus := processors(resourcesOf(info)); cpus != unthrottled && !known.throttled {
		add(until, event.Event{Kind: testbed.LabThrottle, Text: cpus})
	}
	if e := howItEnded(m, state); e.Kind != "" && known.ended.IsZero() && !ended.IsZero() {
		add(ended, e)
	}
	return all, nil
}

// forgottenByDocker is the problem that done has with the events of long ago.
const forgottenByDocker = "Docker keeps its latest 256 events, and some of what was done to the peers is no longer among them: what their containers show of that is here"

// howItEnded makes an event of the state of a container that has ended: who killed
// it with 137 is not known. One that ended with 0 was asked to, and said so itself.
func howItEnded(m dockerd.Member, state *api.State) (e event.Event) {
	switch {
	case state.Running || state.Paused || m.State != testbed.Stopped || state.ExitCode == 0:
	case state.OOMKilled:
		e.Kind, e.Text, e.Reason = testbed.LabExit, strconv.Itoa(state.ExitCode), testbed.OutOfMemory
	case state.ExitCode == 137:
		e.Kind = testbed.LabKill
	default:
		e.Kind, e.Text = testbed.LabExit, strconv.Itoa(state.ExitCode)
	}
	return e
}

// parseTime parses what Docker has of a container's life: the zero time is none.
func parseTime(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() < 2000 {
		return time.Time{}
	}
	return t
}

// everThrottled reports whether the processors of a container were limited at
// some time: which of several changes of its limits it was, Docker does not keep.
func (c *Cluster) everThrottled(ctx context.Context, id string) bool {
	info, err := c.daemon.API.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil || info.Container.HostConfig == nil {
		return true // as Docker tells of it
	}
	r := info.Container.HostConfig.Resources
	return r.CPUQuota != 0 || r.NanoCPUs != 0 // a limit that was lifted is -1
}

// made is when the first of the members was made, in Docker's form.
func made(members []dockerd.Member) string {
	if len(members) == 0 {
		return stamp(time.Now())
	}
	first := slices.MinFunc(members, func(a, b dockerd.Member) int { return cmp.Compare(a.Created, b.Created) })
	return strconv.FormatInt(first.Created, 10)
}

func stamp(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }

func byID(members []dockerd.Member) map[string]dockerd.Member {
	by := make(map[string]dockerd.Member, len(members))
	for _, m := range members {
		by[m.ID] = m
	}
	return by
}
