package record

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
)

// RecordLinks records a change of links, once: the agent tells of those of this
// engine, too, and of both the time is the agent's.
func (rec *Recorder) RecordLinks(links testbed.Links, at time.Time) {
	if rec.NoteChange(at) {
		rec.history.Record(event.Event{Time: at, Kind: links.Kind(), Text: links.String()})
	}
}

// NoteChange notes that nothing more is to be recorded of the change at a time, and
// reports whether that is news.
func (rec *Recorder) NoteChange(at time.Time) bool {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	known := rec.changes[at.UnixNano()]
	rec.changes[at.UnixNano()] = true
	return !known
}

// AgentIDs returns the ids of the containers of the cluster's agents. Labels alone
// make none: those of an image are its container's, too.
func (rec *Recorder) AgentIDs(ctx context.Context) (ids []string, err error) {
	filters := make(client.Filters).Add("label", dockerd.ClusterLabel+"="+rec.cluster, dockerd.HelperLabel+"="+dockerd.AgentHelper)
	all, err := rec.daemon.API.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return nil, fmt.Errorf("list the agents: %w", err)
	}
	for _, s := range all.Items {
		if slices.ContainsFunc(s.Names, func(name string) bool { return strings.HasPrefix(name, "/"+dockerd.AgentName("")) }) {
			ids = append(ids, s.ID)
		}
	}
	return ids, nil
}

// followAgents starts a reader for every agent that has none.
func (rec *Recorder) followAgents(members map[string]dockerd.Member) {
	ids, err := rec.AgentIDs(rec.ctx)
	if err != nil {
		if rec.ctx.Err() == nil {
			rec.Problem("", err)
		}
		return
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for _, id := range ids {
		if rec.agents[id] {
			continue
		}
		rec.agents[id] = true
		members := maps.Clone(members) // the caller's will change
		rec.running.Go(func() {
			names := func() map[netip.Addr]string { return rec.addresses(members) }
			err := rec.readLinkChanges(rec.ctx, id, true, names, rec.RecordLinks, func(err error) { rec.Problem("", err) })
			if err != nil && rec.ctx.Err() == nil {
				rec.Problem("", err)
			}
		})
	}
}

// addresses are those of the members now, or as they were, and those that peers
// have told of.
func (rec *Recorder) addresses(were map[string]dockerd.Member) map[netip.Addr]string {
	members, err := rec.daemon.List(rec.ctx, rec.cluster)
	if err != nil {
		for _, m := range were {
			members = append(members, m)
		}
	}
	events, _ := rec.history.Since(0)
	return allNames(members, events)
}

// allNames says who has an address, or had it when somebody told of it.
func allNames(members []dockerd.Member, told []event.Event) map[netip.Addr]string {
	names := make(map[netip.Addr]string)
	for _, e := range told {
		if at, err := netip.ParseAddrPort(e.Addr); err == nil && e.Member != "" {
			names[at.Addr()] = e.Member
		}
	}
	maps.Copy(names, dockerd.NamesByAddr(members))
	return names
}

// readLinkChanges reads what an agent wrote (decodeLinkChanges); with follow
// until the agent ends.
func (rec *Recorder) readLinkChanges(ctx context.Context, id string, follow bool, names func() map[netip.Addr]string, add func(testbed.Links, time.Time), problem func(error)) error {
	log, err := rec.daemon.API.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, Follow: follow})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil // it has just gone, or is about to, with its network
	}
	if err != nil {
		return fmt.Errorf("read what was done to links: %w", err)
	}
	defer log.Close()
	return decodeLinkChanges(log, names, add, problem)
}

// linkChanges returns the changes of links so far, as far as the agent lives.
func (rec *Recorder) linkChanges(ctx context.Context, members []dockerd.Member, told []event.Event) (events []event.Event, err error) {
	ids, err := rec.AgentIDs(ctx)
	if err != nil {
		return nil, err
	}
	byAddr := allNames(members, told)
	names := func() map[netip.Addr]string { return byAddr }
	for _, id := range ids {
		last := time.Now()
		err := rec.readLinkChanges(ctx, id, false, names, func(links testbed.Links, at time.Time) {
			last = at
			events = append(events, event.Event{Time: at, Peer: testbed.Lab, Kind: links.Kind(), Text: links.String()})
		}, func(err error) {
			events = append(events, event.Event{Time: last, Peer: testbed.Lab, Kind: testbed.LabError, Error: err.Error()})
		})
		if err != nil {
			return events, err
		}
	}
	return events, nil
}
