package membership

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/event"
)

// pollInterval bounds how late a change is seen that memberlist has no
// callback for: suspicion, refutation, reaping. A poll costs two map lengths
// unless something changed.
const pollInterval = 20 * time.Millisecond

// seen is what the watcher reported last of a member.
type seen struct {
	state       State
	incarnation uint32
	addr        string
	meta        []byte
}

// watcher turns what happens in a Memberlist's node table into events.
//
// Join, death and leave are caught in memberlist's callbacks, at the instant
// they happen. Suspicion has no callback: it is found by polling the table and
// stamped with the table's own time of change. A suspicion shorter than the
// poll is caught when the alive message that ends it passes NotifyAlive,
// which memberlist calls before it changes the entry.
//
// The order of locks is memberlist's node lock, then watcher.mu.
type watcher struct {
	self   string
	log    *event.Log
	health func() int
	coords *coordinates

	mu       sync.Mutex
	table    *table // nil until memberlist.Create has returned
	stopped  bool   // a dead observer's reports do not count
	known    map[string]seen
	dirty    bool          // something may have changed that no callback told
	changed  chan struct{} // closed at the next change
	conflict map[string]string
	rtt      map[string]time.Duration
}

var (
	_ memberlist.EventDelegate    = (*watcher)(nil)
	_ memberlist.AliveDelegate    = (*watcher)(nil)
	_ memberlist.ConflictDelegate = (*watcher)(nil)
	_ memberlist.PingDelegate     = (*watcher)(nil)
)

func newWatcher(self string, log *event.Log, coords *coordinates) *watcher {
	return &watcher{
		self:     self,
		log:      log,
		health:   func() int { return 0 },
		coords:   coords,
		known:    make(map[string]seen),
		changed:  make(chan struct{}),
		conflict: make(map[string]string),
		rtt:      make(map[string]time.Duration),
	}
}

// open lets the watcher read t and reports what is in it.
func (w *watcher) open(t *table) {
	w.mu.Lock()
	w.table = t
	w.mu.Unlock()
	w.scan(t)
}

// stop silences the watcher: after Shutdown, memberlist can still fire
// suspicion timers and report false deaths.
func (w *watcher) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
}

// run polls until ctx ends, the table and the health score.
func (w *watcher) run(ctx context.Context, t *table) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var nodes, suspects int
	var own uint32
	health := 0
	for {
		if now := w.health(); now != health {
			health = now
			w.log.Emit(event.Event{Kind: event.PeerHealth, Health: now})
		}
		n, s := t.sizes()
		inc := t.incarnation(w.self)
		w.mu.Lock()
		scan := w.dirty || n != nodes || s != suspects || inc != own
		w.dirty = false
		w.mu.Unlock()
		if scan {
			nodes, suspects, own = n, s, inc
			w.scan(t)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// scan compares the whole table with what was reported.
func (w *watcher) scan(t *table) {
	t.lock.RLock()
	defer t.lock.RUnlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range *t.nodes {
		w.compare(n)
	}
	if len(w.known) == len(*t.nodes) {
		return
	}
	for name := range w.known {
		if (*t.nodes)[name] == nil {
			w.reap(name)
		}
	}
}

// reap reports that a known entry is gone. The caller holds both locks.
func (w *watcher) reap(name string) {
	k := w.known[name]
	w.emit(event.Event{
		Kind: event.MemberReap, Member: name, Addr: k.addr,
		Incarnation: k.incarnation, Was: string(k.state),
	})
	delete(w.known, name)
	delete(w.rtt, name)
	w.coords.forget(name)
}

// compare reports what changed in one entry. The caller holds both locks.
func (w *watcher) compare(n *nodeState) {
	was, known := w.known[n.Name]
	state := states[n.State]
	if known && was.state == state && was.incarnation == n.Incarnation && bytes.Equal(was.meta, n.Meta) {
		return
	}
	now := seen{state, n.Incarnation, was.addr, n.Meta}
	if !known || was.state != state {
		now.addr = net.JoinHostPort(n.Addr.String(), strconv.Itoa(int(n.Port)))
	}
	w.known[n.Name] = now
	e := event.Event{Member: n.Name, Addr: now.addr, Incarnation: n.Incarnation, Was: string(was.state)}
	if was.state != state {
		e.Time = n.StateChange
	}
	switch {
	case !known && state == Suspect:
		// Joined and suspected between two polls: tell both.
		join := e
		join.Kind = event.MemberJoin
		w.emit(join)
		e.Kind, e.Was, e.Health = event.MemberSuspect, string(Alive), w.health()
	case state == Suspect:
		e.Kind, e.Health = event.MemberSuspect, w.health()
	case state == Dead:
		e.Kind, e.Health = event.MemberDead, w.health()
	case state == Left:
		e.Kind = event.MemberLeft
	case was.state == Suspect:
		e.Kind = event.MemberRefute
	case was.state != Alive:
		e.Kind = event.MemberJoin
	case !bytes.Equal(was.meta, n.Meta):
		e.Kind = event.MemberUpdate
	default:
		// Alive before and after with a new incarnation and nothing new to
		// tell: somebody's accusation was refuted before it was seen here.
		e.Kind = event.MemberRefute
	}
	w.emit(e)
}

func (w *watcher) emit(e event.Event) {
	if w.stopped {
		return
	}
	w.log.Emit(e)
	close(w.changed)
	w.changed = make(chan struct{})
}

// callback handles a callback about node; memberlist holds its lock.
func (w *watcher) callback(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dirty = true
	if w.table == nil {
		return // still inside memberlist.Create; the first poll reports it
	}
	if n := w.table.locked(name); n != nil {
		w.compare(n)
	} else if _, known := w.known[name]; known {
		// NotifyAlive about a member reaped since the last poll.
		w.reap(name)
	}
}

// NotifyJoin implements memberlist.EventDelegate.
func (w *watcher) NotifyJoin(n *memberlist.Node) { w.callback(n.Name) }

// NotifyLeave implements memberlist.EventDelegate.
func (w *watcher) NotifyLeave(n *memberlist.Node) { w.callback(n.Name) }

// NotifyUpdate implements memberlist.EventDelegate.
func (w *watcher) NotifyUpdate(n *memberlist.Node) { w.callback(n.Name) }

// NotifyAlive implements memberlist.AliveDelegate; it refuses nobody.
func (w *watcher) NotifyAlive(n *memberlist.Node) error {
	w.callback(n.Name)
	return nil
}

// NotifyConflict implements memberlist.ConflictDelegate.
func (w *watcher) NotifyConflict(_, other *memberlist.Node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	addr := other.Address()
	// memberlist repeats a conflict with every message that carries it.
	if w.conflict[other.Name] != addr {
		w.conflict[other.Name] = addr
		w.emit(event.Event{Kind: event.MemberConflict, Member: other.Name, Addr: addr})
	}
}

// takeConflict returns the address at which another peer was seen to hold
// name since the last call, or "".
func (w *watcher) takeConflict(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	addr := w.conflict[name]
	delete(w.conflict, name)
	return addr
}

// AckPayload implements memberlist.PingDelegate.
func (w *watcher) AckPayload() []byte { return w.coords.payload() }

// NotifyPingComplete implements memberlist.PingDelegate.
func (w *watcher) NotifyPingComplete(other *memberlist.Node, rtt time.Duration, payload []byte) {
	w.coords.learn(other.Name, rtt, payload)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rtt[other.Name] = rtt
}

// wait returns a channel that is closed at the next change.
func (w *watcher) wait() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}
