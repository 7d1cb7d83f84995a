package e2e

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/testbed"
)

// history is everything that happened in one cluster, and the view of each
// peer that follows from it, as far as it has been read.
type history struct {
	all    *testbed.History
	events []event.Event
	view   *observe.View
}

func newHistory(all *testbed.History) *history {
	return &history{all: all, view: observe.NewView()}
}

// read reads what there is, and returns what is closed when there may be more.
func (h *history) read() (more <-chan struct{}) {
	news, more := h.all.Since(len(h.events))
	h.events = append(h.events, news...)
	for _, e := range news {
		h.view.Add(e)
	}
	return more
}

// mark is a place in the history: what came after it is since(mark).
func (h *history) mark() int {
	h.read()
	return len(h.events)
}

func (h *history) since(mark int) []event.Event {
	h.read()
	return h.events[mark:]
}

// held is what one peer holds another to be, as its events tell.
type held struct {
	state       string
	addr        string
	incarnation uint32
}

func (h *history) held(observer, member string) held {
	told := held{state: string(h.view.State(observer, member))}
	for _, e := range slices.Backward(h.events) {
		if e.Peer != observer || e.Member != member {
			continue
		}
		switch e.Kind {
		case event.MemberJoin, event.MemberRefute, event.MemberSuspect, event.MemberDead, event.MemberLeft, event.MemberUpdate:
			told.addr, told.incarnation = e.Addr, e.Incarnation
			return told
		}
	}
	return told
}

// condition says what is missing, "" when it holds.
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
	more = h.read()
	return holds(h), more
}

// sees holds when each observer holds each of the members in one of the
// states, separated by blanks. What a peer holds itself to be counts too.
func sees(observers []string, states string, members ...string) condition {
	return func(h *history) string {
		var missing []string
		for _, observer := range observers {
			if !h.view.Runs(observer) {
				return observer + " does not run"
			}
			for _, member := range members {
				if state := string(h.view.State(observer, member)); !slices.Contains(strings.Fields(states), state) {
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
	h.read()
	var b strings.Builder
	b.WriteString(h.view.Table())
	for _, e := range h.events[max(0, len(h.events)-60):] {
		b.Write(e.Encode())
	}
	return b.String()
}
