package testbed

import (
	"context"

	"peerlab/event"
)

// Reader reads a history from its beginning, one event after the other. It keeps
// what it has been given and not handed on yet, so that reading takes time in
// proportion to the events, however many are unread. It is not for concurrent
// use.
type Reader struct {
	history *History
	read    int           // how many events have been returned
	unread  []event.Event // the next ones
}

// Reader returns a reader that is at the beginning.
func (h *History) Reader() *Reader { return &Reader{history: h} }

// Next waits until there is another event and returns it. Its errors are those
// of History.Read; an event that is there is returned even when ctx has ended.
func (r *Reader) Next(ctx context.Context) (event.Event, error) {
	if len(r.unread) == 0 {
		events, err := r.history.Read(ctx, r.read)
		if err != nil {
			return event.Event{}, err
		}
		r.unread = events
	}
	e := r.unread[0]
	r.unread = r.unread[1:]
	r.read++
	return e, nil
}

// Ready reports whether Next would return an event without waiting.
func (r *Reader) Ready() bool { return len(r.unread) > 0 || r.history.Len() > r.read }
