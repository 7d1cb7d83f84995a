package fabric

import (
	"crypto/rand"
	"errors"
	"maps"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// apply puts m in force instead of what was. When it returns without an error
// the kernel follows it; with one, what was in force still is. With a lease of
// 0 it stays until it is replaced or cleared. The identifier is for renew.
func (a *Agent) apply(m Matrix, d time.Duration) (applied, error) {
	if err := errors.Join(m.Validate(nil), validLease(d)); err != nil {
		return applied{}, badRequest{err}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return applied{}, errClosing
	}
	if err := m.checkLacking(a); err != nil {
		return applied{}, err
	}
	ready, pending, err := a.shape(m)
	if errors.Is(err, errDuplicate) && !m.crowded() {
		ready, pending, err = a.makeRoom(m)
	}
	if err == nil {
		err = a.table.replace(m, ready)
	}
	if err != nil {
		return applied{}, errors.Join(err, a.shaper.keep(wanted(a.matrix, a.ready)))
	}
	a.matrix, a.ready, a.pending, a.applied = m, ready, pending, time.Now()
	a.id, a.lease, a.lapsed = rand.Text(), newLease(d, a.applied), time.Time{}
	a.wakeup()
	a.tell(m, a.applied)
	a.log.Info("matrix applied", "links", len(m), "waiting", len(pending), "lease", d)
	if err := a.shaper.keep(wanted(m, ready)); err != nil {
		// What is left shapes nothing: no rule sends packets there.
		a.log.Warn("queues no longer needed stay", "err", err)
	}
	return applied{ID: a.id, At: a.applied}, nil
}

// makeRoom is shape where the queues in use do not suffer the new ones beside
// them: it removes them first. Until m is in force shaped links pass nothing.
func (a *Agent) makeRoom(m Matrix) (ready map[priorityKey]uint32, pending []Pair, err error) {
	if err := a.table.replace(a.matrix, nil); err != nil {
		return nil, nil, err
	}
	a.ready = make(map[priorityKey]uint32)
	a.pending = nil
	for pair, link := range a.matrix {
		if !link.IsCut() && link.Shape != (Shape{}) {
			a.pending = append(a.pending, pair) // should m fail, settle brings them back
		}
	}
	if err := a.shaper.keep(nil); err != nil {
		return nil, nil, err
	}
	return a.shape(m)
}

// checkLacking tries what the kernel can the first time it matters.
func (m Matrix) checkLacking(a *Agent) error {
	if len(m.Needs()) == 1 {
		return nil // nf_tables, without which there would be no agent
	}
	features, err := a.knownFeatures()
	if err != nil {
		return err
	}
	return m.CheckFeatures(features)
}

func (a *Agent) knownFeatures() ([]Feature, error) {
	if a.features == nil {
		features, err := a.shaper.detect(a.config.Lab, a.config.namespace)
		if err != nil {
			return nil, err
		}
		a.features = features
	}
	return a.features, nil
}

// shape makes the queues for m on every port that is there, leaving those that
// are in use.
func (a *Agent) shape(m Matrix) (ready map[priorityKey]uint32, pending []Pair, err error) {
	ready = make(map[priorityKey]uint32)
	var at map[netip.Addr]int
	for pair, link := range m {
		if link.IsCut() || link.Shape == (Shape{}) {
			continue
		}
		if at == nil {
			if at, err = ports(a.shaper.handle, a.bridge, a.config.namespace); err != nil {
				return nil, nil, err
			}
		}
		port, ok := at[pair.To]
		if !ok {
			pending = append(pending, pair)
			continue
		}
		class, err := a.shaper.ensure(port, queueOf(pair, link.Shape))
		if errors.Is(err, unix.ENODEV) {
			pending = append(pending, pair)
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		ready[priorityKey{pair, port}] = class
	}
	return ready, pending, nil
}

// wanted lists the classes that rules send packets to.
func wanted(m Matrix, ready map[priorityKey]uint32) map[int]map[queueKey]bool {
	classes := make(map[int]map[queueKey]bool)
	for key := range ready {
		if classes[key.port] == nil {
			classes[key.port] = make(map[queueKey]bool)
		}
		classes[key.port][queueOf(key.pair, m[key.pair].Shape)] = true
	}
	return classes
}

// waits reports whether a shaped link has no port yet.
func (a *Agent) waits() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.pending) > 0
}

// settle shapes links whose ports have come, with a peer that started. Until
// then the rules let nothing of them pass.
func (a *Agent) settle() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || a.table.queue == nil {
		return
	}
	ready, pending, err := a.shape(a.matrix)
	if err == nil {
		fresh := make(map[priorityKey]uint32)
		for key, class := range ready {
			if _, ok := a.ready[key]; !ok {
				fresh[key] = class
			}
		}
		if err = a.table.queueUp(fresh); err == nil {
			maps.Copy(a.ready, fresh)
			if len(fresh) > 0 {
				a.log.Info("links shaped", "links", len(fresh), "waiting", len(pending))
			}
		}
	}
	if err != nil {
		a.log.Warn("links that should be shaped pass nothing yet", "err", err)
		return
	}
	a.pending = pending
}
