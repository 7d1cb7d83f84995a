package testbed

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"peerlab/event"
)

// Lab is the peer in whose name an engine records what it did.
const Lab = "lab"

// What an engine does, to Member. Text says more where there is more to say.
const (
	LabStart    event.Kind = "lab.start" // addr
	LabStop     event.Kind = "lab.stop"
	LabKill     event.Kind = "lab.kill"
	LabPause    event.Kind = "lab.pause"
	LabResume   event.Kind = "lab.resume"
	LabThrottle event.Kind = "lab.throttle" // text: the processors allowed
	LabMove     event.Kind = "lab.move"     // addr: the new one
	// LabExit tells that Member ended and nobody had asked for it.
	LabExit event.Kind = "lab.exit" // text: the status, 137 for SIGKILL; reason: OutOfMemory, if that was it
	// LabDisconnect tells that somebody took Member, which runs, off the network of
	// its cluster: nobody reaches it. LabConnect tells that it is back.
	LabDisconnect event.Kind = "lab.disconnect" // text: the network
	LabConnect    event.Kind = "lab.connect"    // text: the network
	// A change of links, as Links.Kind decides: lab.cut if some packets never
	// pass, lab.link if chance or time is all that is against them, lab.heal if
	// all links are healthy. Text: all that is then in force, as ParseLinks reads
	// it. Stamped when the kernel, or the simulator, follows.
	LabCut  event.Kind = "lab.cut"  // text
	LabLink event.Kind = "lab.link" // text
	LabHeal event.Kind = "lab.heal" // text
	// LabProbe is what was measured on one link after a change, member to
	// other: text, and error if the fault had no effect.
	LabProbe event.Kind = "lab.probe" // member addr (of the other: its name) text error
	// LabBusy tells that the host did not keep time: text says by how much.
	// What was measured meanwhile is doubtful.
	LabBusy event.Kind = "lab.busy" // text
	// LabMark is a note of whoever drives the cluster, such as the line of a
	// scenario.
	LabMark event.Kind = "lab.mark" // text
	// LabError tells that what Member reported is incomplete or not understood.
	LabError event.Kind = "lab.error" // error
)

// History is everything that happened in one cluster, in the order in which
// the engine learnt of it: each peer's events in the order of their Seq, those
// of different peers as they arrived. It keeps everything. All methods may be
// called concurrently.
type History struct {
	mu     sync.Mutex
	chunks []piece // all but the last hold chunk events
	n      int
	words  words
	lab    uint64
	more   chan struct{} // closed when there is more, or no more to come; nil while nobody waits
	closed bool
}

// chunk is how many events are kept in one piece: to copy millions each time
// that they outgrow their place would take twice the memory.
const chunk = 8192

// unpacked is how many pieces, the latest, are ready to be read.
const unpacked = 4

// piece is part of a history.
type piece struct {
	events []event.Event
	packed *packed // instead, in an old piece of a long history
}

// from returns the events after the first n.
func (p piece) from(n int) []event.Event {
	if p.packed != nil {
		return p.packed.after(n)
	}
	return slices.Clip(p.events[n:])
}

// NewHistory returns an empty history.
func NewHistory() *History { return new(History) }

// Add appends what a peer reported. On a closed history it does nothing.
func (h *History) Add(e event.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add(e)
}

// Record appends what the engine did: it sets Peer and Seq, and Time where it
// is zero.
func (h *History) Record(e event.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lab++
	e.Peer, e.Seq = Lab, h.lab
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	h.add(e)
}

func (h *History) add(e event.Event) {
	if h.closed {
		return
	}
	if h.n%chunk == 0 {
		h.chunks = append(h.chunks, piece{})
		if old := len(h.chunks) - 1 - unpacked; old >= 0 {
			h.chunks[old] = piece{packed: pack(&h.words, h.chunks[old].events)}
		}
	}
	last := &h.chunks[len(h.chunks)-1]
	last.events = append(last.events, e)
	h.n++
	h.wake()
}

// wake tells those who wait. The caller holds mu.
func (h *History) wake() {
	if h.more != nil {
		close(h.more)
		h.more = nil
	}
}

// Len returns how many events there are: a place to Read from.
func (h *History) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n
}

// Since returns the events after the first n, and a channel that is closed
// when there may be more. The caller must not change them. Who
// follows a history uses Read, or a Reader.
func (h *History) Since(n int) ([]event.Event, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = min(max(n, 0), h.n)
	switch {
	case n == h.n:
		return nil, h.wait()
	case n/chunk == len(h.chunks)-1: // no copy
		return h.chunks[n/chunk].from(n % chunk), h.wait()
	}
	all := make([]event.Event, 0, h.n-n)
	for len(all) < cap(all) {
		at := h.n - cap(all) + len(all)
		all = append(all, h.chunks[at/chunk].from(at%chunk)...)
	}
	return all, h.wait()
}

// wait returns what is closed when there may be more. The caller holds mu.
func (h *History) wait() <-chan struct{} {
	if h.more == nil {
		h.more = make(chan struct{})
		if h.closed {
			close(h.more)
		}
	}
	return h.more
}

// ErrClosed is returned by Read when no more will come.
var ErrClosed = errors.New("the history has ended")

// Read waits until there are events after the first n and returns the next of
// them: as many as are kept together, at most 8,192, so that it takes no longer
// the more are unread. The caller must not change them. When the history is
// closed and has no more it returns ErrClosed. Who takes one event at a time uses
// a Reader.
func (h *History) Read(ctx context.Context, n int) ([]event.Event, error) {
	n = max(n, 0)
	for {
		h.mu.Lock()
		if n < h.n {
			p := h.chunks[n/chunk]
			h.mu.Unlock()
			return p.from(n % chunk), nil
		}
		more, closed := h.wait(), h.closed
		h.mu.Unlock()
		if closed {
			return nil, ErrClosed
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close ends the history. What it holds can still be read.
func (h *History) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		h.wake()
	}
}

// Sorted returns the events by the time at which they happened, those of one
// instant, of which virtual time has many, in the order in which they came. The
// order of each peer's own events stays, but not that of the lab's, which has
// several sources: memberlist stamps some changes a little before the peer
// reports them, and such an event counts as happening no earlier than the one
// reported before it.
func Sorted(events []event.Event) []event.Event {
	type stamped struct {
		at    time.Time
		event int
	}
	latest := make(map[string]time.Time)
	all := make([]stamped, len(events))
	for i := range events {
		e := &events[i]
		at := e.Time
		if before := latest[e.Peer]; before.After(at) && e.Peer != Lab {
			at = before
		}
		latest[e.Peer] = at
		all[i] = stamped{at, i}
	}
	slices.SortStableFunc(all, func(a, b stamped) int { return a.at.Compare(b.at) })
	sorted := make([]event.Event, len(all))
	for i, s := range all {
		sorted[i] = events[s.event]
	}
	return sorted
}
