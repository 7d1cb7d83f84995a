package record

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
)

// Recorder puts into a history what happens to one cluster, whoever does it: what the
// peers report, and what is done to their containers, their links and their network.
// Its methods may be called concurrently.
type Recorder struct {
	daemon   *dockerd.Daemon
	cluster  string
	history  *testbed.History
	external *externalEvents

	ctx     context.Context // of what follows the cluster
	running sync.WaitGroup
	follow  sync.Once
	recalls bool // what was done before is recorded, too

	mu      sync.Mutex
	readers map[string]*reader // by container id
	agents  map[string]bool    // that are read, by container id
	changes map[int64]bool     // of links that are in the history, by their time
	// How many processors each container may use, by its id, where that was
	// changed.
	throttles map[string]string
	off       map[string]string // members that run off their network, by id: its name
}

// NewRecorder returns a Recorder for a cluster that adds to history until ctx ends.
func NewRecorder(ctx context.Context, d *dockerd.Daemon, cluster string, history *testbed.History) *Recorder {
	return &Recorder{
		daemon: d, cluster: cluster, history: history, external: newExternalEvents(), ctx: ctx, recalls: true,
		readers: make(map[string]*reader), agents: make(map[string]bool), changes: make(map[int64]bool),
		throttles: make(map[string]string), off: make(map[string]string),
	}
}

// SkipPast makes Follow leave out what was done before it is called, of a cluster that
// the caller has just made.
func (rec *Recorder) SkipPast() { rec.recalls = false }

// Follow starts the reading, unless it has started. What the peers had reported before
// comes first.
func (rec *Recorder) Follow() {
	rec.follow.Do(func() {
		ctx, end := context.WithCancel(rec.ctx)
		rec.running.Go(func() {
			defer end()
			rec.followAll()
		})
		rec.running.Go(func() { rec.watchNeighbors(ctx) })
	})
}

// Wait returns when nothing more is read, which is soon after the end of the context.
func (rec *Recorder) Wait() { rec.running.Wait() }

// Expect tells that the caller is about to do something to a container, and records it
// itself. The function it returns takes that back.
func (rec *Recorder) Expect(id string, action events.Action) (withdraw func()) {
	return rec.external.Expect(id, action)
}

// Mute makes what others do to containers go unrecorded from now on: the cluster is
// about to be removed.
func (rec *Recorder) Mute() { rec.external.Mute() }

// followAll starts a reader for every peer there is and every one to come.
func (rec *Recorder) followAll() {
	since := dockerd.Stamp(time.Now())
	if rec.recalls {
		since = dockerd.Stamp(rec.recordPast()) // what was done before this engine looked
	}
	for {
		// Asked for first: what starts after the list was made is told.
		stream := rec.daemon.API.Events(rec.ctx, client.EventsListOptions{Since: since, Filters: eventFilters()})
		members := rec.wakeReaders()
		if members != nil && len(members) == 0 {
			rec.endHistory()
			return
		}
		for _, m := range members {
			rec.noteNetwork(m, time.Now())
		}
		rec.followAgents(members)
		for broken := false; !broken; {
			select {
			case msg := <-stream.Messages:
				if _, ours := members[msg.Actor.ID]; ours && msg.Action == events.ActionDestroy {
					delete(members, msg.Actor.ID)
					if len(members) == 0 && rec.isRemoved() {
						rec.endHistory()
						return
					}
				}
				if msg.Action == events.ActionStart && !rec.wakeReader(msg.Actor.ID) {
					members = rec.wakeReaders()
					if msg.Actor.Attributes[dockerd.HelperLabel] == dockerd.AgentHelper {
						rec.followAgents(members)
					}
				}
				rec.recordExternal(msg, members)
				since = dockerd.Stamp(time.Unix(0, msg.TimeNano+1))
			case err := <-stream.Err:
				if rec.ctx.Err() != nil {
					return
				}
				rec.Problem("", fmt.Errorf("follow the daemon: %w", err))
				broken = true
			}
		}
		if !dockerd.WaitToRetry(rec.ctx) {
			return
		}
	}
}

// isRemoved reports whether nothing is left of the cluster.
func (rec *Recorder) isRemoved() bool {
	members, err := rec.daemon.List(rec.ctx, rec.cluster)
	return err == nil && len(members) == 0
}

// endHistory ends the history of a cluster of which nothing is left, once all
// that its peers reported is there.
func (rec *Recorder) endHistory() {
	rec.mu.Lock()
	ids := slices.Collect(maps.Keys(rec.readers))
	rec.mu.Unlock()
	for _, id := range ids {
		_ = rec.Drain(rec.ctx, dockerd.Member{ID: id}) // fails when this engine ends, too
	}
	rec.history.Close()
}

// wakeReader has the reader of a peer that this engine has started look for more.
// It says whether there was one: then nothing is new but that the peer runs, and
// Docker need not list all containers for each of fifty that start together.
func (rec *Recorder) wakeReader(id string) bool {
	if !rec.external.Expects(id, events.ActionStart) {
		return false
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	r := rec.readers[id]
	if r == nil {
		return false
	}
	r.look()
	return true
}

// wakeReaders has every peer's reader look for more. It starts those that
// there are not yet. It returns all members, by the ids of their containers.
func (rec *Recorder) wakeReaders() map[string]dockerd.Member {
	members, err := rec.daemon.List(rec.ctx, rec.cluster)
	if err != nil {
		if rec.ctx.Err() == nil {
			rec.Problem("", err)
		}
		return nil
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for _, m := range members {
		if m.Name == testbed.Bootstrap {
			continue // it reports no events
		}
		r := rec.readers[m.ID]
		if r == nil {
			output, err := newOutputDecoder(m.Name, m.Adapter, rec.history.Add, func(err error) { rec.Problem(m.Name, err) })
			if err != nil {
				rec.Problem(m.Name, err)
				continue
			}
			r = &reader{recorder: rec, name: m.Name, id: m.ID, output: output, wake: make(chan struct{}, 1), drains: make(chan chan struct{})}
			rec.readers[m.ID] = r
			rec.running.Go(r.run)
		}
		r.look()
	}
	return byID(members)
}

// Drain waits until all that a peer which has ended reported is in the
// history. Where nobody reads the history there is nothing to wait for.
func (rec *Recorder) Drain(ctx context.Context, m dockerd.Member) error {
	rec.mu.Lock()
	r := rec.readers[m.ID]
	rec.mu.Unlock()
	if r == nil {
		return nil
	}
	read := make(chan struct{})
	select {
	case r.drains <- read:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-rec.ctx.Done():
		return nil
	}
	select {
	case <-read:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-rec.ctx.Done():
		return nil
	}
}

// Problem records what keeps the history from being complete.
func (rec *Recorder) Problem(peer string, err error) {
	rec.history.Record(event.Event{Kind: testbed.LabError, Member: peer, Error: err.Error()})
}

// neighborsEvery is how often the table is looked at while a history is filled.
const neighborsEvery = time.Second

// watchNeighbors records the first overflow of the table, until ctx ends: what was
// observed is not what was asked for.
func (rec *Recorder) watchNeighbors(ctx context.Context) {
	overflowed := rec.daemon.WatchOverflows(ctx)
	tick := time.NewTicker(neighborsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if overflowed() {
			rec.Problem("", dockerd.ErrNeighbors)
			return
		}
	}
}
