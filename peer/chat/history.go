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

func (e *entry) size() int {
	size := len(e.text) + overhead
	for _, c := range e.causes {
		size += 48 + len(c.of.name)
	}
	return size
}

func (e *entry) id() ID { return ID{e.by.name, e.by.incarnation, e.seq} }

// track is what is kept of one writer: the messages floor+1, floor+2, ….
type track struct {
	of      writer
	floor   uint64
	entries []*entry
	// certain is up to where messages were delivered one after the other since
	// this peer's start, or given up on the author's own word. What is beyond, up
	// to skipped, rests on others' word or on the state directory alone.
	certain, skipped uint64
	// delivered is the last message delivered since this peer's start, or kept.
	delivered uint64
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
	// forgotten holds, by name, the latest life without a track, and its last
	// message. Vectors do not name it. What comes of a life before it is older
	// than the horizon.
	forgotten map[string]mark
	// isMember reports whether membership knows this life; nil means no.
	isMember func(writer) bool
}

func newHistory() *history {
	return &history{tracks: make(map[writer]*track), forgotten: make(map[string]mark)}
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
	if len(h.forgotten) > 0 {
		if f := h.forgotten[w.name]; f.of == w {
			return f.seq
		}
	}
	return 0
}

// delivered returns the last of w's messages that was delivered: not one that was
// given up.
func (h *history) delivered(w writer) uint64 {
	if t := h.track(w); t != nil {
		return t.delivered
	}
	return 0
}

// knows reports whether a message of w was delivered or given up.
func (h *history) knows(w writer) bool { return h.track(w) != nil || h.have(w) > 0 }

// keeps reports whether messages of w are kept.
func (h *history) keeps(w writer) bool {
	t := h.track(w)
	return t != nil && len(t.entries) > 0
}

// past says whether w's messages up to seq are behind this peer: delivered,
// given up, or older than the horizon.
func (h *history) past(w writer, seq uint64) bool {
	if h.have(w) >= seq {
		return true
	}
	if len(h.forgotten) == 0 || w.incarnation >= h.forgotten[w.name].of.incarnation {
		return false
	}
	return h.track(w) == nil && (h.isMember == nil || !h.isMember(w))
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
		have := h.have(e.by)
		t = &track{of: e.by, floor: have, certain: have}
		h.tracks[e.by] = t
	}
	t.delivered = e.seq
	if e.seq == t.certain+1 {
		t.certain = e.seq
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
	if have := h.have(w); have < seq {
		t := &track{of: w, floor: seq, skipped: seq}
		if before := h.track(w); before != nil {
			t.certain, t.delivered = before.certain, before.delivered
		}
		h.tracks[w] = t
		h.recent = nil
	}
}

// confirm makes certain what is behind this peer of w.
func (h *history) confirm(w writer) {
	if t := h.track(w); t != nil {
		t.certain = t.last()
	}
}

// wrote takes in how many messages w says it has written. It takes back what was
// given up beyond that on anybody else's word, and reports whether there was any.
func (h *history) wrote(w writer, seq uint64) bool {
	t := h.track(w)
	if t == nil || t.certain >= t.skipped {
		return false
	}
	if seq >= t.skipped {
		h.confirm(w)
		return false
	}
	h.tracks[w] = &track{of: w, floor: t.certain, certain: t.certain, delivered: t.certain}
	h.recent = nil
	return true
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

const (
	// maxTracks is how many writers may be told apart in the version vectors
	// before those of whom nothing is kept and who are not members are forgotten.
	maxTracks = 1024
	// maxForgotten is how many forgotten names are remembered, so that what
	// others still keep of them is not delivered again.
	maxForgotten = 1 << 16
)

// forget drops the tracks of writers that are not members and of whom nothing
// is kept, when there are many.
func (h *history) forget() {
	if len(h.tracks) <= maxTracks {
		return
	}
	h.recent = nil
	maps.DeleteFunc(h.tracks, func(w writer, t *track) bool {
		if len(t.entries) > 0 || h.isMember != nil && h.isMember(w) {
			return false
		}
		if f := h.forgotten[w.name]; f.of.incarnation <= w.incarnation {
			h.forgotten[w.name] = mark{w, t.floor}
		}
		return true
	})
	for name := range h.forgotten {
		if len(h.forgotten) <= maxForgotten {
			break
		}
		delete(h.forgotten, name)
	}
}

// remember gives a forgotten writer its track again, if w is one.
func (h *history) remember(w writer) {
	if f := h.forgotten[w.name]; f.of == w && h.track(w) == nil {
		h.tracks[w] = &track{of: w, floor: f.seq, certain: f.seq}
		delete(h.forgotten, w.name)
	}
}
