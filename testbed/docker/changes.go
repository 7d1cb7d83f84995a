package docker

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
	"peerlab/testbed/docker/record"
)

// recordLinks records a change of links, once: the agent tells of those of this
// engine, too, and of both the time is the agent's.
func (c *Cluster) recordLinks(links testbed.Links, at time.Time) {
	if c.noteChange(at) {
		c.history.Record(event.Event{Time: at, Kind: links.Kind(), Text: links.String()})
	}
}

// noteChange notes that nothing more is to be recorded of the change at a time, and
// reports whether that is news.
func (c *Cluster) noteChange(at time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.changes[at.UnixNano()]
	c.changes[at.UnixNano()] = true
	return !known
}

// Done returns what the lab has done and measured, as far as the history tells,
// and unlike History starts no reading of the rest.
func (c *Cluster) Done() []event.Event {
	events, _ := c.history.Since(0)
	return slices.DeleteFunc(slices.Clone(events), func(e event.Event) bool { return e.Peer != testbed.Lab })
}

// agentIDs returns the ids of the containers of the cluster's agents. Labels alone
// make none: those of an image are its container's, too.
func (c *Cluster) agentIDs(ctx context.Context) (ids []string, err error) {
	filters := make(client.Filters).Add("label", dockerd.ClusterLabel+"="+c.name, dockerd.HelperLabel+"="+dockerd.AgentHelper)
	all, err := c.daemon.API.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return nil, fmt.Errorf("list the agents: %w", err)
	}
	for _, s := range all.Items {
		if slices.ContainsFunc(s.Names, func(name string) bool { return strings.HasPrefix(name, "/"+agentName("")) }) {
			ids = append(ids, s.ID)
		}
	}
	return ids, nil
}

// followAgents starts a reader for every agent that has none.
func (c *Cluster) followAgents(members map[string]dockerd.Member) {
	ids, err := c.agentIDs(c.ctx)
	if err != nil {
		if c.ctx.Err() == nil {
			c.problem("", err)
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if c.agents[id] {
			continue
		}
		c.agents[id] = true
		members := maps.Clone(members) // the caller's will change
		c.running.Go(func() {
			names := func() map[netip.Addr]string { return c.addresses(members) }
			err := c.readLinkChanges(c.ctx, id, true, names, c.recordLinks, func(err error) { c.problem("", err) })
			if err != nil && c.ctx.Err() == nil {
				c.problem("", err)
			}
		})
	}
}

// addresses are those of the members now, or as they were, and those that peers
// have told of.
func (c *Cluster) addresses(were map[string]dockerd.Member) map[netip.Addr]string {
	members, err := c.daemon.List(c.ctx, c.name)
	if err != nil {
		for _, m := range were {
			members = append(members, m)
		}
	}
	events, _ := c.history.Since(0)
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
	maps.Copy(names, namesOf(members))
	return names
}

// readLinkChanges reads what an agent wrote (record.ReadLinkChanges); with follow
// until the agent ends.
func (c *Cluster) readLinkChanges(ctx context.Context, id string, follow bool, names func() map[netip.Addr]string, add func(testbed.Links, time.Time), problem func(error)) error {
	log, err := c.daemon.API.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, Follow: follow})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil // it has just gone, or is about to, with its network
	}
	if err != nil {
		return fmt.Errorf("read what was done to links: %w", err)
	}
	defer log.Close()
	return record.ReadLinkChanges(log, names, add, problem)
}

// changed returns the changes of links so far, as far as the agent lives.
func (c *Cluster) changed(ctx context.Context, members []dockerd.Member, told []event.Event) (events []event.Event, err error) {
	ids, err := c.agentIDs(ctx)
	if err != nil {
		return nil, err
	}
	byAddr := allNames(members, told)
	names := func() map[netip.Addr]string { return byAddr }
	for _, id := range ids {
		last := time.Now()
		err := c.readLinkChanges(ctx, id, false, names, func(links testbed.Links, at time.Time) {
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
