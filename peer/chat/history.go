package chat

import "maps"

// entry is one message in the history. It does not change once it is there.
type entry struct {
	by     writer
	seq    uint64
	causes []mark
	text   string
	place  uint64 // in the order of delivery, from 1
	head   []byte // of the frame in which it is pushed, for this peer's own
}

// overhead is what an entry takes beside its text and causes, in bytes.
const overhead = 200

func (e *entry) size() int { return len(e.text) + 48*len(e.causes) + overhead }

func (e *entry) id() ID { return ID{e.by.name, e.by.incarnation, e.seq} }

// track is what is kept of one writer: the messages floor+1, floor+2, ….
type track struct {
	of      writer
	floor   uint64
	entries []*entry
}

func (t *track) last() uint64 { return t.floor + uint64(len(t.entries)) }

// history is every message delivered, of which the latest are kept, in the
// order of delivery. What was dropped from its front is closed under causes,
// because delivery is: nothing kept is the cause of something dropped.
type history struct {
	tracks map[writer]*track
	recent *track // looked up last, if not nil
	order  []*entry
	first  int // of order, that is still kept
	bytes  int
	places uint64 // given
	// ended names, for a member, its latest life of which nothing is known any
	// more: whatever comes of it or of one before is older than the horizon.
	ended map[string]uint64
}

func newHistory() *history {
	return &history{tracks: make(map[writer]*track), ended: make(map[string]uint64)}
}

// track returns what is kept of w, nil if nothing ever was.
func (h *history) track(w writer) *track {
	if h.recent == nil || h.recent.of != w {
		h.recent = h.tracks[w]
	}
	return h.recent
}

// have returns up to where w's messages were delivered or given up.
func (h *history) have(w writer) uint64 {
	if t := h.track(w); t != nil {
		return t.last()
	}
	return 0
}

// past says whether w's messages up to seq are behind this peer: delivered,
// given up, or older than the horizon.
func (h *history) past(w writer, seq uint64) bool {
	return h.have(w) >= seq || len(h.ended) > 0 && w.incarnation <= h.ended[w.name]
}

func (h *history) haves() vector {
	v := make(vector, len(h.tracks))
	for w, t := range h.tracks {
		v[w] = t.last()
	}
	return v
}

func (h *history) floors() vector {
	v := make(vector)
	for w, t := range h.tracks {
		if t.floor > 0 {
			v[w] = t.floor
		}
	}
	return v
}

// add appends e, whose turn it is.
func (h *history) add(e *entry) {
	t := h.track(e.by)
	if t == nil {
		t = &track{of: e.by}
		h.tracks[e.by] = t
	}
	h.places++
	e.place = h.places
	t.entries = append(t.entries, e)
	h.order = append(h.order, e)
	h.bytes += e.size()
}

// skip gives up w's messages up to seq. Those before it that are kept can no
// longer be asked for.
func (h *history) skip(w writer, seq uint64) {
	if h.have(w) < seq {
		h.tracks[w] = &track{of: w, floor: seq}
		h.recent = nil
	}
}

// get returns w's messages from first to last that are kept.
func (h *history) get(w writer, first, last uint64) []*entry {
	t := h.track(w)
	if t == nil {
		return nil
	}
	first, last = max(first, t.floor+1), min(last, t.last())
	if first > last {
		return nil
	}
	return t.entries[first-t.floor-1 : last-t.floor]
}

func (h *history) len() int { return len(h.order) - h.first }

// oldest returns the message that would be dropped next, nil if none is kept.
func (h *history) oldest() *entry {
	if h.first == len(h.order) {
		return nil
	}
	return h.order[h.first]
}

// drop forgets the oldest message.
func (h *history) drop() {
	e := h.order[h.first]
	h.order[h.first] = nil
	h.first++
	if h.first > 1024 && h.first > len(h.order)/2 {
		h.order = append(h.order[:0:0], h.order[h.first:]...)
		h.first = 0
	}
	h.bytes -= e.size()
	if t := h.track(e.by); len(t.entries) > 0 && t.entries[0] == e {
		t.entries[0] = nil
		t.entries = t.entries[1:]
		t.floor++
	}
}

// maxEnded is how many past lives of members are told apart in the version
// vectors when nothing of them is kept.
const maxEnded = 1024

// forget drops writers that have a later life, of whom nothing is kept, when
// there are many.
func (h *history) forget() {
	if len(h.tracks) <= maxEnded {
		return
	}
	h.recent = nil
	latest := make(map[string]uint64)
	for w := range h.tracks {
		latest[w.name] = max(latest[w.name], w.incarnation)
	}
	maps.DeleteFunc(h.tracks, func(w writer, t *track) bool {
		if len(t.entries) > 0 || w.incarnation == latest[w.name] {
			return false
		}
		h.ended[w.name] = max(h.ended[w.name], w.incarnation)
		return true
	})
	// A life before one that has ended has ended too.
	maps.DeleteFunc(h.tracks, func(w writer, t *track) bool {
		return len(t.entries) == 0 && w.incarnation <= h.ended[w.name]
	})
}
