// Package membership is the layer that knows who is online:
// hashicorp/memberlist with its configuration, the state it hides behind its
// API, and the memory of former members that a rejoin needs.
package membership

import (
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
	// Shared is what several memberships in one process have in common; nil
	// for one alone.
	Shared *Shared
}

// Membership is one running memberlist. Methods may be called concurrently.
type Membership struct {
	name     string
	conf     *memberlist.Config
	list     *memberlist.Memberlist
	table    *table
	watch    *watcher
	delegate *delegate
	ring     keyring
	shared   *Shared

	stop    context.CancelFunc // ends the poll and every dial
	stopped context.Context
	running sync.WaitGroup

	mu   sync.Mutex
	left bool
}

// Create starts a memberlist of one: this peer. Join makes it part of a
// cluster, Shutdown ends it.
func Create(o Options) (*Membership, error) {
	if err := CheckName(o.Name); err != nil {
		return nil, err
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
	logger := log.New(logWriter{o.Log, watch.nudge}, "", 0)
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
	}
	meter := &meter{NodeAwareTransport: transport}
	conf.Transport = watched{meter, watch}
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
	if m.table, err = openTable(list); err != nil {
		m.stop()
		_ = list.Shutdown()
		return nil, err
	}
	m.watch.health = list.GetHealthScore
	m.watch.open(m.table)
	m.running.Go(func() { m.watch.run(m.stopped, m.table) })
	m.running.Go(func() { meter.account(m.stopped, o.Events) })
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
func (m *Membership) Addr() string { return m.list.LocalNode().Address() }

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

// Join exchanges states with the peers at the given addresses (host:port), all
// at once, because one that answers nothing costs TCPTimeout
// (hashicorp/memberlist#105). It returns how many answered, and the errors
// joined if none did; when ctx ends first, what was reached until then.
func (m *Membership) Join(ctx context.Context, addrs []string) (int, error) {
	results := make(chan error, len(addrs))
	for _, addr := range addrs {
		m.running.Go(func() {
			_, err := m.list.Join([]string{addr})
			results <- err
		})
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
	return 0, errors.Join(errs...)
}

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
	if err != nil {
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

// told is how long Update waits for an update to be told: gossip of the slowest
// profile takes half as long. memberlist can miss that it was, when a newer
// message about this peer replaces it, and Shutdown has to wait for it.
const told = 3 * time.Second

// Update advertises this peer again under a new incarnation. After Leave it
// fails: memberlist would tell nobody, and wait all the same.
func (m *Membership) Update(ctx context.Context) error {
	if m.HasLeft() {
		return errors.New("advertise this peer again: it has left")
	}
	done := make(chan error, 1)
	m.running.Go(func() { done <- m.list.UpdateNode(min(m.budget(ctx), told)) })
	select {
	case err := <-done:
		if err != nil {
			// memberlist's only error here: what it could not pass on in time stays queued.
			return fmt.Errorf("advertise this peer again: %w: it still waits to be gossiped, and a push/pull carries it too", err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
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
	m.mu.Lock()
	m.left = true
	m.mu.Unlock()
	if m.stopped.Err() != nil {
		return errors.New("leave the cluster: membership is already shut down")
	}
	alone := m.Online() <= 1
	done := make(chan error, 1)
	m.running.Go(func() { done <- m.list.Leave(m.budget(ctx)) })
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("leave the cluster: %w", err)
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
	}
	return nil
}

// HasLeft says whether Leave was called.
func (m *Membership) HasLeft() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.left
}

// Shutdown ends the memberlist without telling anybody: unless Leave came
// first, the others find this peer dead. It may be called several times.
func (m *Membership) Shutdown() error {
	m.watch.stop()
	m.stop()
	err := m.list.Shutdown()
	m.running.Wait()
	if err != nil {
		return fmt.Errorf("shut down memberlist: %w", err)
	}
	return nil
}
