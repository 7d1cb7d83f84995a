package membership

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/event"
)

// pollInterval bounds how late a change is seen that memberlist has no
// callback for: suspicion, refutation, reaping.
const pollInterval = 20 * time.Millisecond

// seen is what the watcher reported last of a member.
type seen struct {
	addr        string
	meta        []byte
	incarnation uint32
	state       memberlist.NodeStateType
	since       time.Time // of state
	touched     bool      // memberlist is about to change it, or has just done so
}

// is says whether n is as it was reported.
func (k *seen) is(n *nodeState) bool {
	return k.state == n.State && k.incarnation == n.Incarnation && bytes.Equal(k.meta, n.Meta)
}

// watcher turns what happens in a Memberlist's node table into events.
//
// Join, death and leave are caught in memberlist's callbacks, at the instant
// they happen. Suspicion has no callback, nor have refutation and reaping: they
// are found by looking at the table and stamped with the table's own time of
// change. memberlist changes it when it has taken a packet, when a callback
// announces it, when a probe of its own has failed, which it logs, and when it
// forgets the dead, after which it probes the next member. All of those wake the
// watcher, who looks a little later: an idle peer costs next to nothing. A
// suspicion shorter than that is caught when the alive message that ends it
// passes NotifyAlive, which memberlist calls before it changes the entry.
//
// The order of locks is memberlist's node lock, then watcher.mu.
type watcher struct {
	self   string
	log    *event.Log
	health func() int
	coords *coordinates
	shared *Shared
	mark   string // see Options

	maxMembers int
	refused    atomic.Uint64 // by NotifyAlive

	mu       sync.Mutex
	table    *table // nil until memberlist.Create has returned
	stopped  bool   // a dead observer's reports do not count
	known    map[string]*seen
	touched  []string             // of known
	suspects map[string]struct{}  // of known
	away     map[string]struct{}  // of known: dead or left
	marked   map[string]struct{}  // of known: online, with mark in their metadata
	lost     map[string]lostPeer  // everyone who was online and then found dead, maxMembers at most
	gone     map[string]Gone      // forgotten and not seen since, maxMembers at most
	changed  chan struct{}        // closed after the next change
	told     time.Time            // when changed was closed last
	telling  bool                 // it will be closed soon
	conflict map[string]*conflict // by name, of known
	rtt      map[string]time.Duration

	wake    chan struct{} // holds a token when the table may have changed
	waiting atomic.Bool   // for memberlist to forget the dead
}

// lostPeer is where a peer was when it was found dead, and since when it is.
type lostPeer struct {
	addr  string
	since time.Time
}

// conflict is what was claimed last about a name that another member has.
type conflict struct {
	addr   string    // "" once takeConflict has returned it
	told   string    // the address told last
	toldAt time.Time // when
}

// conflictEvery is how often a conflict about one name is told at the most.
const conflictEvery = time.Second

// watched is a transport whose traffic wakes the watcher. memberlist asks for
// the channel of packets again whenever it has taken one.
type watched struct {
	memberlist.NodeAwareTransport
	watch *watcher
}

// PacketCh implements memberlist.Transport.
func (t watched) PacketCh() <-chan *memberlist.Packet {
	t.watch.nudge()
	return t.NodeAwareTransport.PacketCh()
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (t watched) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	if t.watch.waiting.Load() {
		t.watch.nudge()
	}
	return t.NodeAwareTransport.WriteToAddress(b, addr)
}

var (
	_ memberlist.EventDelegate    = (*watcher)(nil)
	_ memberlist.AliveDelegate    = (*watcher)(nil)
	_ memberlist.ConflictDelegate = (*watcher)(nil)
	_ memberlist.PingDelegate     = (*watcher)(nil)
)

func newWatcher(self string, log *event.Log, coords *coordinates, shared *Shared) *watcher {
	return &watcher{
		self:     self,
		shared:   shared,
		log:      log,
		health:   func() int { return 0 },
		coords:   coords,
		known:    make(map[string]*seen),
		suspects: make(map[string]struct{}),
		away:     make(map[string]struct{}),
		marked:   make(map[string]struct{}),
		lost:     make(map[string]lostPeer),
		gone:     make(map[string]Gone),
		wake:     make(chan struct{}, 1),
		changed:  make(chan struct{}),
		conflict: make(map[string]*conflict),
		rtt:      make(map[string]time.Duration),
	}
}

// open lets the watcher read t and reports what is in it.
func (w *watcher) open(t *table) {
	t.lock.RLock()
	defer t.lock.RUnlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.table = t
	w.scan(t)
}

// stop silences the watcher: after Shutdown, memberlist can still fire
// suspicion timers and report false deaths.
func (w *watcher) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
}

// nudge has the watcher look at the table soon.
func (w *watcher) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run looks at the table, and at the health score, whenever there may be something to see, until ctx
// ends.
func (w *watcher) run(ctx context.Context, t *table) {
	timer := time.NewTimer(pollInterval)
	defer timer.Stop()
	health := 0
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		// It changes when a probe has ended, which wakes the watcher, too.
		if now := w.health(); now != health {
			health = now
			w.log.Emit(event.Event{Kind: event.PeerHealth, Health: now})
		}
		if alone := w.poll(t); !alone {
			select {
			case <-w.wake:
			case <-ctx.Done():
				return
			}
		}
		timer.Reset(pollInterval)
	}
}

// poll reports what no callback has told. It returns whether the dead are all
// that this peer knows: then it probes nobody, and nothing will tell when it
// forgets them.
func (w *watcher) poll(t *table) (alone bool) {
	t.lock.RLock()
	defer t.lock.RUnlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	look := func(name string) {
		if n := t.locked(name); n != nil {
			w.compare(n)
		} else if w.known[name] != nil {
			w.reap(name)
		}
	}
	look(w.self)
	for _, name := range w.touched {
		k := w.known[name]
		if k != nil {
			k.touched = false
		}
		if n := t.locked(name); k == nil || n == nil || !k.is(n) {
			look(name)
		}
	}
	w.touched = w.touched[:0]
	for name := range *t.timers {
		if _, known := w.suspects[name]; !known {
			look(name)
		}
	}
	for name := range w.suspects {
		look(name)
	}
	if len(w.known) != len(*t.nodes) {
		for name := range w.away {
			look(name)
		}
	}
	if len(w.known) != len(*t.nodes) {
		w.scan(t)
	}
	w.waiting.Store(len(w.away) > 0)
	return len(w.away) > 0 && len(w.away) == len(w.known)-1
}

// scan compares the whole table with what was reported. The caller holds both
// locks.
func (w *watcher) scan(t *table) {
	for _, n := range *t.nodes {
		w.compare(n)
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
		Incarnation: k.incarnation, Was: string(states[k.state]),
	})
	w.remember(Gone{
		Member:    Member{Name: name, Addr: k.addr, State: states[k.state], Incarnation: k.incarnation, Since: k.since},
		Forgotten: time.Now(),
	})
	delete(w.known, name)
	delete(w.suspects, name)
	delete(w.away, name)
	delete(w.marked, name)
	delete(w.rtt, name)
	delete(w.conflict, name)
	w.coords.forget(name)
}

// compare reports what changed in one entry. The caller holds both locks.
func (w *watcher) compare(n *nodeState) {
	k := w.known[n.Name]
	known := k != nil
	if known && k.is(n) {
		return
	}
	var was State // "" if it was not known
	var wasMeta []byte
	if known {
		was, wasMeta = states[k.state], k.meta
	} else {
		k = new(seen)
		w.known[n.Name] = k
		delete(w.gone, n.Name)
	}
	k.state, k.since, k.incarnation, k.meta = n.State, n.StateChange, n.Incarnation, n.Meta
	state := states[n.State]
	if was != state {
		wasAddr := k.addr
		k.addr = w.shared.addr(n.Addr, n.Port)
		delete(w.suspects, n.Name)
		delete(w.away, n.Name)
		delete(w.lost, n.Name)
		switch state {
		case Suspect:
			w.suspects[n.Name] = struct{}{}
		case Dead, Left:
			w.away[n.Name] = struct{}{}
			if state == Dead && (was == Alive || was == Suspect) {
				w.lose(n.Name, lostPeer{wasAddr, n.StateChange})
			}
		}
	}
	if (state == Alive || state == Suspect) && w.mark != "" && w.shared.meta(n.Meta)[w.mark] != "" {
		w.marked[n.Name] = struct{}{}
	} else {
		delete(w.marked, n.Name)
	}
	e := event.Event{Member: n.Name, Addr: k.addr, Incarnation: n.Incarnation, Was: string(was)}
	if was != state {
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
	case was == Suspect:
		e.Kind = event.MemberRefute
	case was != Alive:
		e.Kind = event.MemberJoin
	case !bytes.Equal(wasMeta, n.Meta):
		e.Kind = event.MemberUpdate
	default:
		// Alive before and after with a new incarnation and nothing new to
		// tell: somebody's accusation was refuted before it was seen here.
		e.Kind = event.MemberRefute
	}
	w.emit(e)
}

// lose remembers a member that was found dead. The caller holds mu.
func (w *watcher) lose(name string, peer lostPeer) {
	makeRoom(w.lost, w.maxMembers, func(p lostPeer) time.Time { return p.since })
	w.lost[name] = peer
}

// remember keeps a forgotten member. The caller holds mu.
func (w *watcher) remember(g Gone) {
	makeRoom(w.gone, w.maxMembers, func(g Gone) time.Time { return g.Forgotten })
	w.gone[g.Name] = g
}

// makeRoom takes the oldest out of a map that has limit entries already.
func makeRoom[V any](of map[string]V, limit int, since func(V) time.Time) {
	if len(of) < limit {
		return
	}
	oldest := ""
	for name, v := range of {
		if oldest == "" || since(v).Before(since(of[oldest])) {
			oldest = name
		}
	}
	delete(of, oldest)
}

func (w *watcher) emit(e event.Event) {
	if w.stopped {
		return
	}
	w.log.Emit(e)
	w.tell()
}

// tellEvery is how long changes are gathered, for each member there is, before
// those who wait for one are told: they look at all members, and take the same
// share of the time however many those are.
const tellEvery = 500 * time.Microsecond

// tell closes changed, at once if that was not just done. The caller holds mu.
func (w *watcher) tell() {
	if w.telling {
		return
	}
	next := w.told.Add(min(time.Duration(len(w.known))*tellEvery, time.Second))
	wait := time.Until(next)
	if wait <= 0 {
		w.told = time.Now()
		close(w.changed)
		w.changed = make(chan struct{})
		return
	}
	w.telling = true
	time.AfterFunc(wait, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.telling, w.told = false, time.Now()
		close(w.changed)
		w.changed = make(chan struct{})
	})
}

// callback handles a callback about node; memberlist holds its lock.
func (w *watcher) callback(name string) {
	w.nudge()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.table == nil {
		return // still inside memberlist.Create; open reports it
	}
	n, k := w.table.locked(name), w.known[name]
	switch {
	case n != nil && (k == nil || !k.is(n)):
		w.compare(n)
		k = w.known[name]
	case n == nil && k != nil:
		// NotifyAlive about a member reaped since the last poll.
		w.reap(name)
		return
	}
	if k != nil && !k.touched {
		k.touched = true
		w.touched = append(w.touched, name)
	}
}

// NotifyJoin implements memberlist.EventDelegate.
func (w *watcher) NotifyJoin(n *memberlist.Node) { w.callback(n.Name) }

// NotifyLeave implements memberlist.EventDelegate.
func (w *watcher) NotifyLeave(n *memberlist.Node) { w.callback(n.Name) }

// NotifyUpdate implements memberlist.EventDelegate.
func (w *watcher) NotifyUpdate(n *memberlist.Node) { w.callback(n.Name) }

// maxForeignName is the longest name of a member that is believed, in bytes:
// Serf's limit. Ours are shorter, see MaxName.
const maxForeignName = 128

// NotifyAlive implements memberlist.AliveDelegate. It refuses what no member
// can be, and members beyond the bound: memberlist believes anything, and
// without a key anybody can tell it.
func (w *watcher) NotifyAlive(n *memberlist.Node) error {
	w.callback(n.Name)
	err := w.admit(n)
	if err != nil {
		w.refused.Add(1)
	}
	return err
}

// admit returns why n is not believed. memberlist holds its lock.
func (w *watcher) admit(n *memberlist.Node) error {
	switch {
	case n.Name == "":
		return errors.New("it has no name")
	case len(n.Name) > maxForeignName:
		return fmt.Errorf("its name of %d bytes is longer than %d", len(n.Name), maxForeignName)
	case len(n.Meta) > memberlist.MetaMaxSize:
		return fmt.Errorf("its metadata of %d bytes are more than memberlist's %d", len(n.Meta), memberlist.MetaMaxSize)
	case len(n.Addr) != net.IPv4len && len(n.Addr) != net.IPv6len:
		return fmt.Errorf("its address of %d bytes is no IP address", len(n.Addr))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.table == nil || w.table.locked(n.Name) != nil {
		return nil // this peer itself, or known
	}
	if have := len(*w.table.nodes); have >= w.maxMembers {
		return fmt.Errorf("this peer knows %d members, as many as it may: raise --max-members, or install a key if they are not yours", have)
	}
	return nil
}

// NotifyConflict implements memberlist.ConflictDelegate. memberlist repeats a
// conflict with every message that carries it, and anybody can send one.
func (w *watcher) NotifyConflict(_, other *memberlist.Node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.conflict[other.Name]
	if c == nil {
		c = new(conflict)
		w.conflict[other.Name] = c
	}
	c.addr = other.Address()
	if now := time.Now(); c.addr != c.told && now.Sub(c.toldAt) >= conflictEvery {
		c.told, c.toldAt = c.addr, now
		w.emit(event.Event{Kind: event.MemberConflict, Member: other.Name, Addr: c.addr})
	}
}

// takeConflict returns the address at which another peer was seen to hold
// name since the last call, or "".
func (w *watcher) takeConflict(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.conflict[name]
	if c == nil {
		return ""
	}
	addr := c.addr
	c.addr, c.told = "", "" // the next one is told anew
	return addr
}

// AckPayload implements memberlist.PingDelegate.
func (w *watcher) AckPayload() []byte { return w.coords.payload() }

// NotifyPingComplete implements memberlist.PingDelegate.
func (w *watcher) NotifyPingComplete(other *memberlist.Node, rtt time.Duration, payload []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.known[other.Name] == nil {
		return // reaped meanwhile: nobody would forget it again
	}
	w.coords.learn(other.Name, rtt, payload)
	w.rtt[other.Name] = rtt
}

// missing returns the addresses of the lost by name.
func (w *watcher) missing() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	addrs := make(map[string]string, len(w.lost))
	for name, p := range w.lost {
		addrs[name] = p.addr
	}
	return addrs
}

// wait returns a channel that is closed after the next change.
func (w *watcher) wait() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}
