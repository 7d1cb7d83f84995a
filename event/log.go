package event

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// ErrClosed is returned by Read once the log is closed and read to its end.
var ErrClosed = errors.New("event log closed")

// Log keeps the latest events of one peer and lets any number of readers
// follow them, each at its own pace. Emitting never waits for a reader: one
// that falls further behind than the log keeps misses events and can tell by
// their sequence numbers. All methods may be called concurrently.
type Log struct {
	peer string
	keep int

	mu     sync.Mutex
	events []Event // a ring once len(events) == keep; the event with number n is at (n-1)%keep
	last   uint64
	more   chan struct{} // closed when an event arrives or the log is closed; nil while nobody waits
	closed bool

	observe func(Event)
}

// NewLog returns an empty log for the events of peer that keeps the latest
// keep of them (at least one).
func NewLog(peer string, keep int) *Log {
	return &Log{peer: peer, keep: max(keep, 1)}
}

// Observe has f called with every event when it is appended, one at a time and
// in order, before any reader has it. f must not block, nor use the log. Observe
// comes before the first event; nil is nobody.
func (l *Log) Observe(f func(Event)) { l.observe = f }

// Emit appends e. It sets Seq and Peer, and Time where it is zero. On a closed
// log it does nothing.
func (l *Log) Emit(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.last++
	e.Seq, e.Peer = l.last, l.peer
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if len(l.events) < l.keep {
		l.events = append(l.events, e)
	} else {
		l.events[(l.last-1)%uint64(l.keep)] = e
	}
	if l.observe != nil {
		l.observe(e)
	}
	l.wake()
}

// wake tells those who wait. The caller holds mu.
func (l *Log) wake() {
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
}

// Last returns the sequence number of the latest event, 0 if there is none.
func (l *Log) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// Since returns the kept events with a sequence number above after, oldest
// first, and a channel that is closed when there may be more.
func (l *Log) Since(after uint64) ([]Event, <-chan struct{}) {
	events, more, _ := l.since(after)
	return events, more
}

func (l *Log) since(after uint64) ([]Event, <-chan struct{}, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if oldest := l.last - uint64(len(l.events)); after < oldest {
		after = oldest
	}
	var events []Event
	for n := after; n < l.last; n++ {
		events = append(events, l.events[n%uint64(l.keep)])
	}
	if l.more == nil {
		l.more = make(chan struct{})
	}
	return events, l.more, l.closed
}

// Read waits until there are events with a sequence number above after and
// returns them, oldest first. It returns ErrClosed when the log is closed and
// has no more, and the context's error when ctx ends first.
func (l *Log) Read(ctx context.Context, after uint64) ([]Event, error) {
	for {
		events, more, closed := l.since(after)
		if len(events) > 0 {
			return events, nil
		}
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

// Follow calls fn with every event after the given sequence number, until the
// log is closed (ErrClosed), ctx ends (its error) or fn fails (its error).
func (l *Log) Follow(ctx context.Context, after uint64, fn func(Event) error) error {
	for {
		events, err := l.Read(ctx, after)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := fn(e); err != nil {
				return err
			}
			after = e.Seq
		}
	}
}

// Copy writes every event after the given sequence number to w as JSON lines,
// following the log until it is closed (nil), ctx ends, or a write fails.
func (l *Log) Copy(ctx context.Context, w io.Writer, after uint64) error {
	err := l.Follow(ctx, after, func(e Event) error {
		_, err := w.Write(e.Encode())
		return err
	})
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

// Close ends the log: readers get what is left, then ErrClosed.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		l.wake()
	}
}
