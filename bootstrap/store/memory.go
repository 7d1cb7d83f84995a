package store

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Memory is a Store that lasts as long as the process.
type Memory struct {
	writing sync.Mutex // held from reading the state to replacing it
	state   atomic.Pointer[State]
}

var _ Store = (*Memory)(nil)

// NewMemory returns a store that holds no peer and this configuration.
func NewMemory(maxPeers, minRefillCandidates int) *Memory {
	m := new(Memory)
	m.state.Store(&State{MaxPeers: maxPeers, MinRefillCandidates: minRefillCandidates, Peers: map[string]Entry{}})
	return m
}

// View implements Store. It never waits for a writer.
func (m *Memory) View(ctx context.Context) (State, error) {
	if err := ctx.Err(); err != nil {
		return State{}, err
	}
	return m.state.Load().At(time.Now()), nil
}

// Update implements Store. It calls change once.
func (m *Memory) Update(ctx context.Context, change func(*State) error) (State, error) {
	m.writing.Lock()
	defer m.writing.Unlock()
	if err := ctx.Err(); err != nil {
		return State{}, err
	}
	// Readers keep the old value for as long as they like: it never changes.
	next := m.state.Load().Clone(time.Now())
	if err := change(&next); err != nil {
		return State{}, err
	}
	m.state.Store(&next)
	return next, nil
}

// Close implements Store. It does nothing.
func (m *Memory) Close() error { return nil }
