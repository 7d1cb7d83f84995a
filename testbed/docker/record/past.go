package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
)

// recordPast records what was done to a cluster before this engine looked, and returns
// from when on Docker is to be asked for more.
func (rec *Recorder) recordPast() (since time.Time) {
	now := time.Now()
	members, err := rec.daemon.List(rec.ctx, rec.cluster)
	var done []event.Event
	if err == nil {
		done, err = rec.pastEvents(rec.ctx, members, rec.external, now)
	}
	if err != nil {
		if rec.ctx.Err() == nil {
			rec.Problem("", err)
		}
		return now
	}
	for _, e := range testbed.Sorted(done) {
		if e.Kind == testbed.LabDisconnect {
			continue // noteNetwork tells, and remembers it
		}
		rec.history.Record(e)
	}
	_ = dockerd.Each(members, func(_ int, m dockerd.Member) error {
		if cpus, err := rec.processorsOf(rec.ctx, m.ID); err == nil {
			rec.NoteThrottle(m.ID, cpus)
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
		rec.noteNetwork(m, at)
	}
	return now
}

// pastEvents returns what has been done to the members until a time: what Docker
// remembers, and what shows in the containers of the rest.
func (rec *Recorder) pastEvents(ctx context.Context, members []dockerd.Member, external *externalEvents, until time.Time) ([]event.Event, error) {
	all, seen, err := rec.remembered(ctx, members, external, until)
	if err != nil {
		return all, err
	}
	shown, err := rec.reconstructed(ctx, members, seen, until)
	return append(all, shown...), err
}

// Remembered returns what has been done to the members, as far as Docker remembers.
// Without an answer of Docker's it is what came before.
func (rec *Recorder) Remembered(ctx context.Context, members []dockerd.Member) []event.Event {
	all, _, _ := rec.remembered(ctx, members, newExternalEvents(), time.Now())
	return all
}

// remembered returns what has been done to the members until a time, as far as
// Docker remembers: the latest 256 events of its host, of whatever kind.
func (rec *Recorder) remembered(ctx context.Context, members []dockerd.Member, external *externalEvents, until time.Time) (all []event.Event, seen memories, err error) {
	byID := byID(members)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if len(members) == 0 {
		return nil, nil, nil
	}
	stream := rec.daemon.API.Events(ctx, client.EventsListOptions{
		Since: firstCreated(members), Until: dockerd.Stamp(until), Filters: eventFilters(),
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
			if e.Kind == testbed.LabThrottle && !rec.everThrottled(ctx, m.ID) {
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

// reconstructed returns what Docker does not remember having told and what shows in
// the containers all the same: how their lives began and ended, and what they are
// now. That something is missing is among it.
func (rec *Recorder) reconstructed(ctx context.Context, members []dockerd.Member, seen memories, until time.Time) ([]event.Event, error) {
	shown := make([][]event.Event, len(members))
	err := dockerd.Each(members, func(i int, m dockerd.Member) (err error) {
		shown[i], err = rec.reconstruct(ctx, m, seen[m.ID], until)
		return err
	})
	all := slices.Concat(shown...)
	if slices.ContainsFunc(members, func(m dockerd.Member) bool { return !seen[m.ID].created }) {
		all = append(all, event.Event{Time: until, Peer: testbed.Lab, Kind: testbed.LabError, Error: forgottenByDocker})
	}
	return all, err
}

// reconstruct returns what a container shows of what was done to it, beside what Docker
// remembers.
func (rec *Recorder) reconstruct(ctx context.Context, m dockerd.Member, known memory, until time.Time) (all []event.Event, err error) {
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
	info, err := rec.daemon.API.ContainerInspect(ctx, m.ID, client.ContainerInspectOptions{})
	state := info.Container.State
	switch {
	case errdefs.IsNotFound(err), err == nil && state == nil:
		return all, nil
	case err != nil:
		return all, fmt.Errorf("look at %s: %w", m.Name, err)
	}
	started, ended := dockerd.ParseTime(state.StartedAt), dockerd.ParseTime(state.FinishedAt)
	if !started.IsZero() && known.started.IsZero() {
		add(started, event.Event{Kind: testbed.LabStart, Addr: addrText(m.Addr)})
	}
	if state.Paused && !known.paused {
		add(until, event.Event{Kind: testbed.LabPause})
	}
	if cpus := Processors(resourcesOf(info)); cpus != unthrottled && !known.throttled {
		add(until, event.Event{Kind: testbed.LabThrottle, Text: cpus})
	}
	if e := howItEnded(m, state); e.Kind != "" && known.ended.IsZero() && !ended.IsZero() {
		add(ended, e)
	}
	return all, nil
}

// forgottenByDocker is the problem that pastEvents has with the events of long ago.
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

// everThrottled reports whether the processors of a container were limited at
// some time: which of several changes of its limits it was, Docker does not keep.
func (rec *Recorder) everThrottled(ctx context.Context, id string) bool {
	info, err := rec.daemon.API.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil || info.Container.HostConfig == nil {
		return true // as Docker tells of it
	}
	r := info.Container.HostConfig.Resources
	return r.CPUQuota != 0 || r.NanoCPUs != 0 // a limit that was lifted is -1
}

// firstCreated is when the first of the members was made, in Docker's form.
func firstCreated(members []dockerd.Member) string {
	if len(members) == 0 {
		return dockerd.Stamp(time.Now())
	}
	first := slices.MinFunc(members, func(a, b dockerd.Member) int { return cmp.Compare(a.Created, b.Created) })
	return strconv.FormatInt(first.Created, 10)
}

func byID(members []dockerd.Member) map[string]dockerd.Member {
	by := make(map[string]dockerd.Member, len(members))
	for _, m := range members {
		by[m.ID] = m
	}
	return by
}
