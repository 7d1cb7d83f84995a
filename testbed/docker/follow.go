package docker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/docker/record"
)

// reader puts what one peer reports into the history, through all its lives.
// The daemon keeps what a container wrote, so that nothing is lost at a
// SIGKILL, nor what was written before there was a reader.
type reader struct {
	cluster *Cluster
	name    string
	id      string
	output  *record.OutputDecoder
	wake    chan struct{}      // there may be more: the peer was started
	drains  chan chan struct{} // to be closed once all there is has been read
}

// retryAfter is how long a broken connection to the daemon rests.
const retryAfter = time.Second

// History implements testbed.Engine. The first call starts the reading, and
// what the peers had reported before comes first. It ends when the last
// container of the cluster is removed, whoever does that.
func (c *Cluster) History() *testbed.History {
	c.follow.Do(func() {
		ctx, end := context.WithCancel(c.ctx)
		c.running.Go(func() {
			defer end()
			c.followAll()
		})
		c.running.Go(func() { c.watchNeighbors(ctx) })
	})
	return c.history
}

// followAll starts a reader for every peer there is and every one to come.
func (c *Cluster) followAll() {
	since := stamp(time.Now())
	if c.made == nil {
		since = stamp(c.recall()) // what was done before this engine looked
	}
	for {
		// Asked for first: what starts after the list was made is told.
		stream := c.daemon.API.Events(c.ctx, client.EventsListOptions{Since: since, Filters: record.EventFilters()})
		members := c.wakeReaders()
		if members != nil && len(members) == 0 {
			c.conclude()
			return
		}
		for _, m := range members {
			c.noteNetwork(m, time.Now())
		}
		c.followAgents(members)
		for broken := false; !broken; {
			select {
			case msg := <-stream.Messages:
				if _, ours := members[msg.Actor.ID]; ours && msg.Action == events.ActionDestroy {
					delete(members, msg.Actor.ID)
					if len(members) == 0 && c.gone() {
						c.conclude()
						return
					}
				}
				if msg.Action == events.ActionStart && !c.wokeOwn(msg.Actor.ID) {
					members = c.wakeReaders()
					if msg.Actor.Attributes[dockerd.HelperLabel] == dockerd.AgentHelper {
						c.followAgents(members)
					}
				}
				c.hear(msg, members)
				since = stamp(time.Unix(0, msg.TimeNano+1))
			case err := <-stream.Err:
				if c.ctx.Err() != nil {
					return
				}
				c.problem("", fmt.Errorf("follow the daemon: %w", err))
				broken = true
			}
		}
		if !c.rest() {
			return
		}
	}
}

// gone says whether nothing is left of the cluster.
func (c *Cluster) gone() bool {
	members, err := c.daemon.List(c.ctx, c.name)
	return err == nil && len(members) == 0
}

// conclude ends the history of a cluster of which nothing is left, once all
// that its peers reported is there.
func (c *Cluster) conclude() {
	c.mu.Lock()
	ids := slices.Collect(maps.Keys(c.readers))
	c.mu.Unlock()
	for _, id := range ids {
		_ = c.drain(c.ctx, dockerd.Member{ID: id}) // fails when this engine ends, too
	}
	c.history.Close()
}

// rest waits before a retry and says whether there is to be one.
func (c *Cluster) rest() bool {
	timer := time.NewTimer(retryAfter)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// wokeOwn has the reader of a peer that this engine has started look for more.
// It says whether there was one: then nothing is new but that the peer runs, and
// Docker need not list all containers for each of fifty that start together.
func (c *Cluster) wokeOwn(id string) bool {
	if !c.external.Expects(id, events.ActionStart) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.readers[id]
	if r == nil {
		return false
	}
	r.look()
	return true
}

// look has a reader look for more.
func (r *reader) look() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// wakeReaders has every peer's reader look for more. It starts those that
// there are not yet. It returns all members, by the ids of their containers.
func (c *Cluster) wakeReaders() map[string]dockerd.Member {
	members, err := c.daemon.List(c.ctx, c.name)
	if err != nil {
		if c.ctx.Err() == nil {
			c.problem("", err)
		}
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range members {
		if m.Name == testbed.Bootstrap {
			continue // it reports no events
		}
		r := c.readers[m.ID]
		if r == nil {
			output, err := record.NewOutputDecoder(m.Name, m.Adapter, c.history.Add, func(err error) { c.problem(m.Name, err) })
			if err != nil {
				c.problem(m.Name, err)
				continue
			}
			r = &reader{cluster: c, name: m.Name, id: m.ID, output: output, wake: make(chan struct{}, 1), drains: make(chan chan struct{})}
			c.readers[m.ID] = r
			c.running.Go(r.run)
		}
		r.look()
	}
	return byID(members)
}

// drain waits until all that a peer which has ended reported is in the
// history. Where nobody reads the history there is nothing to wait for.
func (c *Cluster) drain(ctx context.Context, m dockerd.Member) error {
	c.mu.Lock()
	r := c.readers[m.ID]
	c.mu.Unlock()
	if r == nil {
		return nil
	}
	read := make(chan struct{})
	select {
	case r.drains <- read:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.ctx.Done():
		return nil
	}
	select {
	case <-read:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.ctx.Done():
		return nil
	}
}

// run reads whenever there may be something. Between two lives it waits.
func (r *reader) run() {
	for {
		var drained chan struct{}
		select {
		case <-r.wake:
		case drained = <-r.drains:
		case <-r.cluster.ctx.Done():
			return
		}
		err := r.read()
		if drained != nil {
			close(drained)
		}
		switch {
		case r.cluster.ctx.Err() != nil:
			return
		case errdefs.IsNotFound(err), errdefs.IsConflict(err):
			continue // removed, or about to be: it will not be started again
		case err != nil:
			r.cluster.problem(r.name, err)
			if !r.cluster.rest() {
				return
			}
			r.look()
		}
	}
}

// read adds all that has been written since the last read, until the peer's
// process ends.
func (r *reader) read() error {
	o := client.ContainerLogsOptions{ShowStdout: true, Follow: true, Timestamps: r.output.Stamped()}
	if since := r.output.Resume(); !since.IsZero() {
		// An event is stamped before it is written: the daemon's stamp of the
		// line is not earlier.
		o.Since = stamp(since)
	}
	log, err := r.cluster.daemon.API.ContainerLogs(r.cluster.ctx, r.id, o)
	if err == nil {
		defer log.Close()
		err = r.output.Read(log, true)
	}
	if err != nil {
		return fmt.Errorf("read what %s reports: %w", r.name, err)
	}
	return nil
}

// problem records what keeps the history from being complete.
func (c *Cluster) problem(peer string, err error) {
	c.history.Record(event.Event{Kind: testbed.LabError, Member: peer, Error: err.Error()})
}

// neighborsEvery is how often the table is looked at while a history is filled.
const neighborsEvery = time.Second

// watchNeighbors records the first overflow of the table, until ctx ends: what was
// observed is not what was asked for.
func (c *Cluster) watchNeighbors(ctx context.Context) {
	overflowed := c.daemon.WatchOverflows(ctx)
	tick := time.NewTicker(neighborsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if overflowed() {
			c.problem("", dockerd.ErrNeighbors)
			return
		}
	}
}
