package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"peerlab/event"
)

// held is what one peer holds another to be, as its events tell.
type held struct {
	state       string
	addr        string
	incarnation uint32
}

// history is everything the peers of one cluster reported, and the view of
// each that follows from it.
type history struct {
	mu       sync.Mutex
	more     chan struct{} // closed when there is more
	events   []event.Event
	views    map[string]map[string]held // of the peers that run
	problems []string                   // what no peer may do, whatever the test
}

func newHistory() *history {
	return &history{more: make(chan struct{}), views: make(map[string]map[string]held)}
}

// change calls f with the history locked and wakes whoever waits.
func (h *history) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	close(h.more)
	h.more = make(chan struct{})
}

func (h *history) problem(format string, args ...any) {
	h.change(func() { h.problems = append(h.problems, fmt.Sprintf(format, args...)) })
}

// begin starts an empty view of peer, end forgets it.
func (h *history) begin(peer string) {
	h.change(func() { h.views[peer] = make(map[string]held) })
}

func (h *history) end(peer string) {
	h.change(func() { delete(h.views, peer) })
}

func (h *history) add(e event.Event) {
	h.change(func() {
		h.events = append(h.events, e)
		view := h.views[e.Peer]
		if view == nil {
			return // it has been stopped
		}
		state := view[e.Member].state
		switch e.Kind {
		case event.MemberJoin, event.MemberRefute:
			state = "alive"
		case event.MemberSuspect:
			state = "suspect"
		case event.MemberDead:
			state = "dead"
		case event.MemberLeft:
			state = "left"
		case event.MemberUpdate:
		case event.MemberReap:
			delete(view, e.Member)
			return
		default:
			return
		}
		view[e.Member] = held{state, e.Addr, e.Incarnation}
	})
}

// mark is a place in the history: what came after it is since(mark).
func (h *history) mark() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.events)
}

func (h *history) since(mark int) []event.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events[mark:])
}

// condition says what is missing, "" when it holds. It is called with the
// history locked.
type condition func(h *history) string

// await waits until the condition holds.
func (h *history) await(t *testing.T, within time.Duration, what string, holds condition) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for {
		missing, more := h.check(holds)
		if missing == "" {
			return
		}
		select {
		case <-more:
		case <-deadline.C:
			t.Fatalf("%s: not within %s: %s", what, within, missing)
		}
	}
}

// hold fails the test if the condition ceases to hold within d.
func (h *history) hold(t *testing.T, d time.Duration, what string, holds condition) {
	t.Helper()
	end := time.NewTimer(d)
	defer end.Stop()
	for {
		missing, more := h.check(holds)
		if missing != "" {
			t.Fatalf("%s: %s", what, missing)
		}
		select {
		case <-more:
		case <-end.C:
			return
		}
	}
}

func (h *history) check(holds condition) (missing string, more <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return holds(h), h.more
}

// sees holds when each observer holds each of the members in one of the
// states, separated by blanks; "unknown" is one of them. No observer means all
// that run. What a peer holds itself to be counts too.
func sees(observers []string, states string, members ...string) condition {
	return func(h *history) string {
		observers := observers
		if observers == nil {
			observers = slices.Sorted(maps.Keys(h.views))
		}
		var missing []string
		for _, observer := range observers {
			view, runs := h.views[observer]
			if !runs {
				return observer + " does not run"
			}
			for _, member := range members {
				state := view[member].state
				if state == "" {
					state = "unknown"
				}
				if !slices.Contains(strings.Fields(states), state) {
					missing = append(missing, fmt.Sprintf("%s holds %s %s", observer, member, state))
				}
			}
		}
		return strings.Join(missing, ", ")
	}
}

// nobody holds as long as no event after mark matches.
func nobody(mark int, matches func(event.Event) bool) condition {
	return func(h *history) string {
		for _, e := range h.events[mark:] {
			if matches(e) {
				return string(bytes.TrimSpace(e.Encode()))
			}
		}
		return ""
	}
}

// reported holds when each of the peers has an event after mark that matches.
func reported(mark int, peers []string, matches func(event.Event) bool) condition {
	return func(h *history) string {
		missing := slices.Clone(peers)
		for _, e := range h.events[mark:] {
			if matches(e) {
				missing = slices.DeleteFunc(missing, func(peer string) bool { return peer == e.Peer })
			}
		}
		if len(missing) == 0 {
			return ""
		}
		return "nothing from " + strings.Join(missing, ", ")
	}
}

// String is the end of the history as it is shown when a test fails.
func (h *history) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b strings.Builder
	for _, observer := range slices.Sorted(maps.Keys(h.views)) {
		fmt.Fprintf(&b, "%s holds:", observer)
		for _, member := range slices.Sorted(maps.Keys(h.views[observer])) {
			m := h.views[observer][member]
			fmt.Fprintf(&b, " %s=%s/%d", member, m.state, m.incarnation)
		}
		b.WriteByte('\n')
	}
	for _, e := range h.events[max(0, len(h.events)-60):] {
		b.Write(e.Encode())
	}
	return b.String()
}
