// Package membership is the layer that knows who is online:
// hashicorp/memberlist, the state it hides behind its
// API, and the memory of former members that a rejoin needs.
package membership

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/event"
)

// Options are what Create needs. Name, Config and Events must be set.
type Options struct {
	Name string
	// Config is memberlist's configuration, from Configure. Create takes it
	// over; delegates, name, addresses and logger in it are replaced.
	Config *memberlist.Config
	// Bind is the address to listen on, an IP address and a port; port 0
	// means any free one. Not used with Transport.
	Bind string
	// Advertise is the address told to others, an IP address with or without
	// a port. Empty means the bound one, or a private address of this host if
	// bound to any.
	Advertise string
	// Transport replaces UDP and TCP, for example by a simulated network. Its
	// Shutdown must end every dial and connection.
	Transport memberlist.NodeAwareTransport
	Meta      Meta
	// Channels share memberlist's user messages and states, each under its
	// tag, which must be the same on all members. nil for none.
	Channels map[byte]Channel
	Events   *event.Log
	Log      *slog.Logger // nil logs nothing
	// Mark is a key of the metadata whose holders Marked counts.
	Mark string
	// MaxMembers bounds how many members are known at a time, this peer, the dead
	// and those who left included; 0 means DefaultMaxMembers.
	MaxMembers int
	// QueueWarning is the length from which on a broadcast queue that stays longer
	// is reported as peer.backlog; 0 reports none.
	QueueWarning int
	// Shared is what several memberships in one process have in common; nil
	// for one alone.
	Shared *Shared
	// Opened, if set, is given the membership when it can be used, before the
	// first event tells of it. Its error is that of Create.
	Opened func(*Membership) error
}

// DefaultMaxMembers is twice the largest cluster that was ever measured.
const DefaultMaxMembers = 4096

// Membership is one running memberlist. Methods may be called concurrently.
type Membership struct {
	name     string
	addr     string
	conf     *memberlist.Config
	list     *memberlist.Memberlist
	table    *table
	watch    *watcher
	delegate *delegate
	ring     keyring
	meter    *meter
	shared   *Shared

	stop    context.CancelFunc // ends the poll and every dial
	stopped context.Context
	running sync.WaitGroup // of what begin has started

	mu       sync.Mutex
	left     bool
	shutDown bool  // then begin starts nothing any more
	updating bool  // a goroutine is in UpdateNode
	next     *call // the one after that; nil if nobody asked
	farewell *call // of Leave; nil before
}

// These answer what can no longer be done.
var (
	errShutDown = errors.New("membership is already shut down")
	errHasLeft  = errors.New("this peer has left")
)

// begin runs f in a goroutine for which Shutdown waits; after Shutdown it
// returns errShutDown instead.
func (m *Membership) begin(f func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.beginLocked(f)
}

// beginLocked is begin for a caller that holds mu.
func (m *Membership) beginLocked(f func()) error {
	if m.shutDown {
		return errShutDown
	}
	m.running.Go(f)
	return nil
}

// Create starts a memberlist of one: this peer. Join makes it part of a
// cluster, Shutdown ends it.
func Create(o Options) (*Membership, error) {
	if err := CheckName(o.Name); err != nil {
		return nil, err
	}
	if o.MaxMembers < 0 {
		return nil, fmt.Errorf("a bound of %d members: use 1 or more, or 0 for %d", o.MaxMembers, DefaultMaxMembers)
	}
	if o.QueueWarning < 0 {
		return nil, fmt.Errorf("a queue warning at %d messages: use 1 or more, or 0 for none", o.QueueWarning)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	delegate, err := newDelegate(o.Channels)
	if err != nil {
		return nil, err
	}
	if err := delegate.set(o.Meta); err != nil {
		return nil, err
	}
	coords, err := newCoordinates(o.Name)
	if err != nil {
		return nil, err
	}
	if o.Shared == nil {
		o.Shared = new(Shared)
	}
	watch := newWatcher(o.Name, o.Events, coords, o.Shared)
	watch.mark = o.Mark
	watch.maxMembers = cmp.Or(o.MaxMembers, DefaultMaxMembers)
	queues := &queueMonitor{warning: o.QueueWarning, log: o.Events}
	logger := log.New(&logWriter{log: o.Log, nudge: watch.nudge, note: queues.noteLog}, "", 0)
	conf := o.Config
	conf.Name = o.Name
	conf.Logger, conf.LogOutput = logger, nil
	if conf.Keyring == nil {
		// Empty means no encryption, and lets keys be installed later.
		conf.Keyring = &memberlist.Keyring{}
	}
	if err := advertise(conf, o.Advertise); err != nil {
		return nil, err
	}
	stopped, stop := context.WithCancel(context.Background())
	transport := o.Transport
	if transport == nil {
		t, err := listen(stopped, o.Bind, logger)
		if err != nil {
			stop()
			return nil, err
		}
		conf.BindPort = t.GetAutoBindPort()
		if conf.AdvertisePort == 0 {
			conf.AdvertisePort = conf.BindPort
		}
		transport = t
	}
	m := &Membership{
		name:     o.Name,
		conf:     conf,
		watch:    watch,
		shared:   o.Shared,
		delegate: delegate,
		ring:     keyring{ring: conf.Keyring},
		stopped:  stopped,
		stop:     stop,
		meter:    &meter{NodeAwareTransport: transport},
	}
	conf.Transport = watched{m.meter, watch}
	conf.Delegate, conf.Events, conf.Alive, conf.Conflict, conf.Ping = delegate, m.watch, m.watch, m.watch, m.watch

	list, err := memberlist.Create(conf)
	if err != nil {
		m.stop()
		_ = transport.Shutdown()
		if strings.Contains(err.Error(), "private IP") {
			return nil, fmt.Errorf("this host has no private address to tell others: choose one with --advertise (%w)", err)
		}
		return nil, fmt.Errorf("create memberlist: %w", err)
	}
	m.list = list
	// It stays what it is. Nothing else writes it before the first update.
	m.addr = list.LocalNode().Address()
	if m.table, err = openTable(list); err != nil {
		m.stop()
		_ = list.Shutdown()
		return nil, err
	}
	if err := queues.open(m.table.queue, o.Channels); err != nil {
		m.stop()
		_ = list.Shutdown()
		return nil, err
	}
	m.watch.health = list.GetHealthScore
	if o.Opened != nil {
		if err := o.Opened(m); err != nil {
			m.stop()
			_ = list.Shutdown()
			return nil, err
		}
	}
	m.watch.open(m.table)
	m.running.Go(func() { m.watch.run(m.stopped, m.table) })
	m.running.Go(func() { account(m.stopped, o.Events, m.meter, queues) })
	return m, nil
}

// advertise puts IP or IP:PORT into conf.
func advertise(conf *memberlist.Config, addr string) error {
	conf.AdvertiseAddr, conf.AdvertisePort = "", 0
	if addr == "" {
		return nil
	}
	if net.ParseIP(addr) != nil {
		conf.AdvertiseAddr = addr
		return nil
	}
	host, port, err := splitAddr("advertised", addr)
	if err != nil {
		return err
	}
	conf.AdvertiseAddr, conf.AdvertisePort = host, port
	return nil
}

// Name returns this peer's name.
func (m *Membership) Name() string { return m.name }

// Addr returns the address this peer advertises.
func (m *Membership) Addr() string { return m.addr }

// Incarnation returns this peer's own incarnation.
func (m *Membership) Incarnation() uint32 { return m.table.incarnation(m.name) }

// Config returns the configuration in use. It must not be changed.
func (m *Membership) Config() *memberlist.Config { return m.conf }

// Health returns memberlist's health score: 0 is best, up to
// AwarenessMaxMultiplier-1 for a peer that misses its own deadlines.
func (m *Membership) Health() int { return m.list.GetHealthScore() }

// Members returns everyone in this peer's table, itself and those dead or
// left but not yet reaped included, by name.
func (m *Membership) Members() []Member {
	members := make([]Member, 0, m.Online())
	m.table.each(func(n *nodeState) { members = append(members, m.shared.member(n)) })
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	m.watch.mu.Lock()
	defer m.watch.mu.Unlock()
	for i := range members {
		members[i].RTT = m.watch.rtt[members[i].Name]
	}
	return members
}

// Gone returns the members that memberlist has forgotten and that were not seen
// since, Options.MaxMembers at most, by name.
func (m *Membership) Gone() []Gone {
	m.watch.mu.Lock()
	defer m.watch.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.watch.gone), func(a, b Gone) int { return strings.Compare(a.Name, b.Name) })
}

// Marked returns the number of members, this peer included, that are online and
// have Options.Mark in their metadata.
func (m *Membership) Marked() int {
	m.watch.mu.Lock()
	defer m.watch.mu.Unlock()
	return len(m.watch.marked)
}

// Online returns the number of members that are alive or suspect, this peer
// included.
func (m *Membership) Online() int { return m.list.NumMembers() }

// Changed returns a channel that is closed soon after the next change of the
// table: changes that follow each other are gathered, for half a millisecond a
// member and at most a second.
func (m *Membership) Changed() <-chan struct{} { return m.watch.wait() }

// Refused returns how many claims of others that some member is alive were not
// believed: for want of room, or because no member can be as they say.
func (m *Membership) Refused() uint64 { return m.watch.refused.Load() }

// Join exchanges states with the peers at the given addresses (host:port), all
// at once, because one that answers nothing costs TCPTimeout
// (hashicorp/memberlist#105). It returns how many answered, and the errors
// joined if none did; when ctx ends first, what was reached until then.
func (m *Membership) Join(ctx context.Context, addrs []string) (int, error) {
	underWay, end := m.meter.beginJoin(addrs)
	defer end()
	results := make(chan error, len(addrs))
	for _, addr := range addrs {
		err := m.begin(func() {
			_, err := m.list.Join([]string{addr})
			results <- err
		})
		if err != nil {
			return 0, fmt.Errorf("join: %w", err)
		}
	}
	var joined int
	var errs []error
	for range addrs {
		select {
		case err := <-results:
			if err == nil {
				joined++
			} else {
				errs = append(errs, oneLine(err))
			}
		case <-ctx.Done():
			errs = append(errs, ctx.Err())
		}
		if ctx.Err() != nil {
			break
		}
	}
	if joined > 0 {
		return joined, nil
	}
	why := ErrNobody
	if underWay.answered.Load() {
		why = ErrNotTaken
	}
	return 0, fmt.Errorf("%w: %w", why, errors.Join(errs...))
}

// Errors of Join. memberlist does not tell them apart.
var (
	ErrNobody = errors.New("nobody answered")
	// ErrNotTaken is a member that answered and does not fit together with this
	// one: by its protocol, its label or its keys.
	ErrNotTaken = errors.New("somebody answered, and the two do not fit together")
)

// oneLine undoes the several lines of a multierror.
func oneLine(err error) error {
	var many interface{ WrappedErrors() []error }
	if errors.As(err, &many) && len(many.WrappedErrors()) == 1 {
		return many.WrappedErrors()[0]
	}
	return err
}

// Missing returns the addresses of former members that are neither online nor
// have left: those a rejoin has to contact, because memberlist by itself never
// contacts the dead again (hashicorp/memberlist#222).
func (m *Membership) Missing() []string {
	lost := m.watch.missing()
	if len(lost) == 0 {
		return nil
	}
	// Another may be at the address of one who is lost. At many members few are:
	// theirs are looked for, rather than everybody's written down.
	taken := make(map[string]bool, len(lost))
	wanted := make(map[netip.AddrPort]string, len(lost))
	for _, addr := range lost {
		where, _ := netip.ParseAddrPort(addr)
		wanted[where] = addr
	}
	m.table.each(func(n *nodeState) {
		if n.State == memberlist.StateAlive || n.State == memberlist.StateSuspect {
			delete(lost, n.Name)
			if addr, ok := wanted[addrPort(n.Addr, n.Port)]; ok {
				taken[addr] = true
			}
		}
	})
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(lost)) {
		if !taken[lost[name]] {
			missing = append(missing, lost[name])
		}
	}
	return missing
}

// TakenAt returns the address of a live peer that holds this peer's name, as
// far as conflicts since the last call tell and the peer there still answers;
// "" if there is none. stale says that a conflict was seen but nobody
// answered there: what others remember of an earlier life of this peer.
func (m *Membership) TakenAt() (addr string, stale bool) {
	addr = m.watch.takeConflict(m.name)
	if addr == "" {
		return "", false
	}
	udp, err := net.ResolveUDPAddr("udp", addr)
	if err != nil || m.stopped.Err() != nil {
		return "", true
	}
	if _, err := m.list.Ping(m.name, udp); err != nil {
		return "", true
	}
	return addr, false
}

// Meta returns a copy of this peer's metadata.
func (m *Membership) Meta() Meta { return m.delegate.get() }

// SetMeta changes this peer's metadata and tells the others, waiting until
// the change is on its way or ctx ends. It fails, changing nothing, when the
// result is over memberlist's 512 bytes.
func (m *Membership) SetMeta(ctx context.Context, change func(Meta)) error {
	if err := m.delegate.change(change); err != nil {
		return err
	}
	return m.Update(ctx)
}

// updateTimeout is how long an update may take to be told: gossip of the slowest
// profile takes half as long. memberlist can miss that it was told when a newer
// message about this peer replaces it.
const updateTimeout = 3 * time.Second

// call is one call of memberlist for several callers of Membership.
type call struct {
	done chan struct{} // closed when it has ended
	err  error         // valid then
}

// Update advertises this peer again under a new incarnation. After Leave it
// fails: memberlist would tell nobody, and wait all the same. Those who ask
// while an update is being told share the next one.
func (m *Membership) Update(ctx context.Context) error {
	next, err := m.requestUpdate()
	if err != nil {
		return fmt.Errorf("advertise this peer again: %w", err)
	}
	select {
	case <-next.done:
		err = next.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errShutDown), errors.Is(err, errHasLeft):
		return fmt.Errorf("advertise this peer again: %w", err)
	}
	return fmt.Errorf("advertise this peer again: %w: it still waits to be gossiped, and a push/pull carries it too", err)
}

// waitForCalls waits, after memberlist's Shutdown, for what begin has started.
// An update or a farewell that is queued is told to nobody any more, but would
// be waited for for seconds: emptying the queue ends that wait.
func (m *Membership) waitForCalls() {
	ended := make(chan struct{})
	go func() {
		m.running.Wait()
		close(ended)
	}()
	again := time.NewTicker(10 * time.Millisecond) // for what is queued a little later
	defer again.Stop()
	for {
		m.table.queue.Reset()
		select {
		case <-ended:
			return
		case <-again.C:
		}
	}
}

// cutShort returns the error of something that Shutdown may have ended early.
func (m *Membership) cutShort(err error) error {
	if err == nil && m.stopped.Err() != nil {
		return errShutDown
	}
	return err
}

// requestUpdate returns the next update to begin.
func (m *Membership) requestUpdate() (*call, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left {
		return nil, errHasLeft
	}
	if m.next == nil {
		next := &call{done: make(chan struct{})}
		if !m.updating {
			if err := m.beginLocked(m.update); err != nil {
				return nil, err
			}
			m.updating = true
		}
		m.next = next
	}
	return m.next, nil
}

// update runs updates one at a time until none is asked for: two calls of
// UpdateNode at once are a data race (docs/memberlist.md).
func (m *Membership) update() {
	for {
		m.mu.Lock()
		now := m.next
		m.next = nil
		m.updating = now != nil
		shutDown, left := m.shutDown, m.left
		m.mu.Unlock()
		switch {
		case now == nil:
			return
		case shutDown:
			now.err = errShutDown
		case left:
			now.err = errHasLeft
		default:
			// Its only error is that the time is up.
			now.err = m.cutShort(m.list.UpdateNode(updateTimeout))
		}
		close(now.done)
	}
}

// budget is the time ctx leaves, at most 10 s.
func (m *Membership) budget(ctx context.Context) time.Duration {
	budget := 10 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		budget = min(budget, max(time.Until(deadline), time.Millisecond))
	}
	return budget
}

// Leave tells the others that this peer leaves, so that they hold it left and
// not dead. It returns when the message is out and has had a second at the
// most to spread, or when ctx ends. The peer can only shut down afterwards:
// memberlist cannot rejoin after leaving.
func (m *Membership) Leave(ctx context.Context) error {
	alone := m.Online() <= 1
	farewell, err := m.beginLeave(m.budget(ctx))
	if err != nil {
		return fmt.Errorf("leave the cluster: %w", err)
	}
	select {
	case <-farewell.done:
		if farewell.err != nil {
			return fmt.Errorf("leave the cluster: %w", farewell.err)
		}
	case <-ctx.Done():
		return fmt.Errorf("leave the cluster: %w", ctx.Err())
	}
	if alone {
		return nil
	}
	// memberlist returns after telling RetransmitMult*ceil(log10(N+1)) members,
	// two of five with the local profile: stay while those pass it on, as
	// Serf does.
	spread := time.NewTimer(min(5*m.conf.GossipInterval, time.Second))
	defer spread.Stop()
	select {
	case <-spread.C:
	case <-ctx.Done():
	case <-m.stopped.Done():
	}
	return nil
}

// beginLeave returns the one farewell of this peer, which the first caller
// begins: in memberlist, further ones would wait for a lock.
func (m *Membership) beginLeave(timeout time.Duration) (*call, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = true
	if m.farewell == nil {
		farewell := &call{done: make(chan struct{})}
		err := m.beginLocked(func() {
			farewell.err = m.cutShort(m.leave(timeout))
			close(farewell.done)
		})
		if err != nil {
			return nil, err
		}
		m.farewell = farewell
	}
	return m.farewell, nil
}

// leave is memberlist's Leave, which panics when Shutdown was faster.
func (m *Membership) leave(timeout time.Duration) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			if m.stopped.Err() == nil {
				panic(cause)
			}
			err = errShutDown
		}
	}()
	return m.list.Leave(timeout)
}

// HasLeft reports whether Leave was called.
func (m *Membership) HasLeft() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.left
}

// Shutdown ends the memberlist without telling anybody: unless Leave came
// first, the others find this peer dead. It may be called several times.
func (m *Membership) Shutdown() error {
	m.mu.Lock()
	m.shutDown = true
	m.mu.Unlock()
	m.watch.stop()
	m.stop()
	err := m.list.Shutdown()
	m.waitForCalls()
	if err != nil {
		return fmt.Errorf("shut down memberlist: %w", err)
	}
	return nil
}
