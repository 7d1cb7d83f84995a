package fabric

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	mdlayher "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Agent keeps one lab's matrix in force. It is made by [NewAgent], works while
// [Agent.Run] runs, and may be used from several goroutines.
type Agent struct {
	config  Config
	log     *slog.Logger
	bridge  int
	links   *mdlayher.Conn
	changed chan struct{} // a device has come, gone or changed
	leased  chan struct{} // the lease is another one

	mu       sync.Mutex
	table    *table
	shaper   *shaper
	features []Feature // nil until asked for
	matrix   Matrix
	applied  time.Time
	id       string // of what was applied last; empty after it was cleared
	lease    lease
	lapsed   time.Time
	ready    map[priorityKey]uint32
	pending  []Pair // shaped, but the port of their destination is not there
	closed   bool
}

// Config is what an agent is told at its start.
type Config struct {
	// Lab names the lab, in letters, digits, '.', '_' and '-'. The rules are
	// in the table "peerlab-LAB"; one agent at a time can hold it.
	Lab string
	// Bridge is the device to which the lab's peers are attached; for a
	// network of Docker "br-" and the first twelve digits of its ID. The agent
	// ends when it is gone.
	Bridge string
	// Log gets what the agent does. Nil discards it. While its handler blocks, no
	// lease ends.
	Log *slog.Logger
	// Changed, unless nil, is called with each matrix and when the kernel began
	// to follow it; with an empty one when all was cleared or a lease ended. One
	// call comes after the other. It must not change the matrix, and must not
	// block: no lease ends meanwhile.
	Changed func(m Matrix, at time.Time)

	// namespace in which tests have their bridge; 0 is that of the process.
	namespace int
}

// NewAgent takes hold of the lab's table, and removes rules and queues that a
// dead agent left. It fails if another agent holds the lab, the bridge does
// not exist, the kernel has no nf_tables for bridges, or NET_ADMIN is missing.
// What it made is gone when Run ends.
func NewAgent(config Config) (_ *Agent, err error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	a := &Agent{
		config: config, log: config.Log,
		changed: make(chan struct{}, 1), leased: make(chan struct{}, 1),
		ready: make(map[priorityKey]uint32),
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()

	namespace := netns.None()
	if config.namespace != 0 {
		namespace = netns.NsHandle(config.namespace)
	}
	handle, err := netlink.NewHandleAt(namespace, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	a.shaper = &shaper{handle: handle, ports: make(map[int]map[queueKey]uint16)}
	bridge, err := handle.LinkByName(config.Bridge)
	if err != nil {
		return nil, fmt.Errorf("bridge %s: %w: does the agent have the host's network?", config.Bridge, err)
	}
	a.bridge = bridge.Attrs().Index
	if a.links, err = mdlayher.Dial(unix.NETLINK_ROUTE, &mdlayher.Config{NetNS: config.namespace}); err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	if err := a.links.JoinGroup(unix.RTNLGRP_LINK); err != nil {
		return nil, fmt.Errorf("watch the devices: %w", err)
	}
	// The table comes before the queues: who holds it may remove them.
	if a.table, err = openTable("peerlab-"+config.Lab, config.namespace); err != nil {
		return nil, err
	}
	if err := a.shaper.clean(a.bridge); err != nil {
		return nil, err
	}
	return a, nil
}

func (c Config) validate() error {
	if c.Lab == "" || len(c.Lab) > 64 {
		return fmt.Errorf("lab %q: a name has 1 to 64 characters", c.Lab)
	}
	for _, r := range c.Lab {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-' {
			return fmt.Errorf("lab %q: a name has letters, digits, '.', '_' and '-'", c.Lab)
		}
	}
	if c.Bridge == "" || len(c.Bridge) >= unix.IFNAMSIZ {
		return fmt.Errorf("bridge %q: a device's name has 1 to %d characters", c.Bridge, unix.IFNAMSIZ-1)
	}
	return nil
}

// errBridgeGone ends an agent whose network was removed: that is no failure.
var errBridgeGone = errors.New("the bridge is gone")

// Run works until ctx ends or the bridge is gone: it ends leases and shapes
// the links of peers that start. Then it removes everything the agent made.
// It returns an error only if that failed.
func (a *Agent) Run(ctx context.Context) error {
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watchLinks(a.links, a.changed)
	}()
	cause := a.work(ctx)
	a.log.Info("removing all rules", "because", cause)
	err := a.close()
	<-watched
	return err
}

func (a *Agent) work(ctx context.Context) error {
	// A device that was up before it got its address makes no more news.
	again := time.NewTicker(250 * time.Millisecond)
	defer again.Stop()
	expiry := time.NewTimer(0)
	defer expiry.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-a.leased:
		case <-expiry.C:
		case <-again.C:
			if !a.waits() {
				continue
			}
			a.settle()
			continue
		case <-a.changed:
			if _, err := a.shaper.handle.LinkByIndex(a.bridge); errors.As(err, new(netlink.LinkNotFoundError)) {
				return errBridgeGone
			}
			a.settle()
			continue
		}
		if left, ends := a.expire(time.Now()); ends {
			expiry.Reset(left)
		} else {
			expiry.Stop()
		}
	}
}

// close removes everything. The agent cannot be used any more.
func (a *Agent) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	var errs []error
	if a.table != nil {
		errs = append(errs, a.table.close())
	}
	if a.shaper != nil {
		errs = append(errs, a.shaper.keep(nil))
		a.shaper.handle.Close()
	}
	if a.links != nil {
		errs = append(errs, a.links.Close())
	}
	return errors.Join(errs...)
}

// clear removes every rule and queue.
func (a *Agent) clear() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.remove(time.Now())
}

func (a *Agent) remove(now time.Time) error {
	if a.closed {
		return errClosing
	}
	if err := a.table.replace(nil, nil); err != nil {
		return err
	}
	a.tell(nil, now)
	a.matrix, a.ready, a.pending, a.id, a.lease = nil, make(map[priorityKey]uint32), nil, "", lease{}
	a.wakeup()
	return a.shaper.keep(nil)
}

func (a *Agent) tell(m Matrix, at time.Time) {
	if a.config.Changed != nil {
		a.config.Changed(m, at)
	}
}

// renew starts the lease anew of what was applied under id.
func (a *Agent) renew(id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := time.Now(); a.id == "" || id != a.id || a.lease.ended(now) {
		return ErrLapsed
	}
	a.lease = newLease(a.lease.length, time.Now())
	a.wakeup()
	return nil
}

// expire removes the rules if their lease has ended, and says how much is left
// of it if there is one.
func (a *Agent) expire(now time.Time) (left time.Duration, ends bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || a.lease.length == 0 {
		return 0, false
	}
	if !a.lease.ended(now) {
		return a.lease.end.Sub(now), true
	}
	a.log.Warn("the lease has ended: removing all rules", "lease", a.lease.length)
	if err := a.remove(now); err != nil {
		a.log.Error("rules stay, to be tried again", "err", err)
		return time.Second, true
	}
	a.lapsed = now
	return 0, false
}

// wakeup tells work that the lease is another one.
func (a *Agent) wakeup() {
	select {
	case a.leased <- struct{}{}:
	default:
	}
}

func (a *Agent) status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := Status{
		Lab: a.config.Lab, Bridge: a.config.Bridge, Matrix: maps.Clone(a.matrix), Waiting: len(a.pending),
	}
	if a.id != "" {
		s.Applied = a.applied
	}
	if a.lease.length != 0 {
		s.Until = a.lease.end
	}
	s.Lapsed = a.lapsed
	return s
}

func (a *Agent) counters() (map[Pair]Count, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, errClosing
	}
	return a.table.counters()
}

func (a *Agent) listFeatures() ([]Feature, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, errClosing
	}
	return a.knownFeatures()
}
