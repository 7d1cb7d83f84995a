package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
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

// agents returns the ids of the containers of the cluster's agents. Labels alone
// make none: those of an image are its container's, too.
func (d *Daemon) agents(ctx context.Context, cluster string) (ids []string, err error) {
	filters := make(client.Filters).Add("label", clusterLabel+"="+cluster, helperLabel+"="+agentHelper)
	all, err := d.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
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
func (c *Cluster) followAgents(members map[string]container) {
	ids, err := c.daemon.agents(c.ctx, c.name)
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
			err := c.daemon.changes(c.ctx, id, true, names, c.recordLinks, func(err error) { c.problem("", err) })
			if err != nil && c.ctx.Err() == nil {
				c.problem("", err)
			}
		})
	}
}

// addresses are those of the members now, or as they were, and those that peers
// have told of.
func (c *Cluster) addresses(were map[string]container) map[netip.Addr]string {
	members, err := c.daemon.list(c.ctx, c.name)
	if err != nil {
		for _, m := range were {
			members = append(members, m)
		}
	}
	events, _ := c.history.Since(0)
	return allNames(members, events)
}

// allNames says who has an address, or had it when somebody told of it.
func allNames(members []container, told []event.Event) map[netip.Addr]string {
	names := make(map[netip.Addr]string)
	for _, e := range told {
		if at, err := netip.ParseAddrPort(e.Addr); err == nil && e.Member != "" {
			names[at.Addr()] = e.Member
		}
	}
	maps.Copy(names, namesOf(members))
	return names
}

// maxChange is the longest line of an agent's journal, in bytes: one that has a
// link of its own for each pair of 1,000 peers fits.
const maxChange = 64 << 20

// changes reads the changes of links that an agent wrote, with names in place of
// addresses; with follow until it ends. What changes nothing, such as a lease or the
// address of a peer that moved, is left out. Of what else it wrote, the first line is
// a problem, and so are changes that are missing.
func (d *Daemon) changes(ctx context.Context, id string, follow bool, names func() map[netip.Addr]string, tell func(testbed.Links, time.Time), problem func(error)) error {
	log, err := d.api.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, Follow: follow})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil // it has just gone, or is about to, with its network
	}
	if err != nil {
		return fmt.Errorf("read what was done to links: %w", err)
	}
	defer log.Close()
	bad := false
	refuse := func(err error) {
		if !bad {
			problem(fmt.Errorf("what the fabric's agent tells: %s", clip(err.Error())))
		}
		bad = true
	}
	last := uint64(0)
	var before testbed.Links
	w := lineWriter{
		limit: maxChange,
		line: func(line []byte) {
			e, links, err := parseChange(line)
			if err != nil {
				refuse(err)
				return
			}
			links = byName(links, names())
			changes := before.Changed(links) > 0
			if e.Seq != last+1 {
				problem(fmt.Errorf("change %d of links came after %d: what was between is lost, as by a rotation of Docker's log", e.Seq, last))
				changes = true
			}
			if last, before = e.Seq, links; changes {
				tell(links, e.Time)
			}
		},
		long: func() { refuse(fmt.Errorf("a change of more than %d MiB was dropped", maxChange>>20)) },
	}
	if _, err := stdcopy.StdCopy(&w, io.Discard, log); err != nil {
		return fmt.Errorf("read what was done to links: %w", err)
	}
	return nil
}

// parseChange parses a line of an agent's journal.
func parseChange(line []byte) (e event.Event, links testbed.Links, err error) {
	if err = json.Unmarshal(line, &e); err == nil {
		links, err = testbed.ParseLinks(e.Text)
	}
	switch {
	case err != nil:
	case e.Kind != links.Kind():
		err = fmt.Errorf("%q is no change of links", clip(string(e.Kind)))
	case e.Time.IsZero():
		err = errors.New("a change of links without a time")
	}
	return e, links, err
}

// byName puts names in place of addresses. Where nobody is now, the address
// stays.
func byName(links testbed.Links, names map[netip.Addr]string) testbed.Links {
	name := func(addr string) string {
		if parsed, err := netip.ParseAddr(addr); err == nil && names[parsed] != "" {
			return names[parsed]
		}
		return addr
	}
	named := make(testbed.Links, len(links))
	for pair, link := range links {
		named[testbed.Pair{From: name(pair.From), To: name(pair.To)}] = link
	}
	return named
}

// changed returns the changes of links so far, as far as the agent lives.
func (c *Cluster) changed(ctx context.Context, members []container, told []event.Event) (events []event.Event, err error) {
	ids, err := c.daemon.agents(ctx, c.name)
	if err != nil {
		return nil, err
	}
	byAddr := allNames(members, told)
	names := func() map[netip.Addr]string { return byAddr }
	for _, id := range ids {
		last := time.Now()
		err := c.daemon.changes(ctx, id, false, names, func(links testbed.Links, at time.Time) {
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
