package chat

// The most that is held back. What does not fit is dropped, and asked for again
// once its turn is near.
const (
	maxHeld      = 4096
	maxHeldBytes = 16 << 20
)

// holdback keeps messages that came before something they follow: their
// writer's message before, or another's that the writer had seen.
type holdback struct {
	of     map[writer]map[uint64]*entry
	causes map[writer]int // how many of the messages name the writer
	count  int
	bytes  int
}

// add says whether e was taken in.
func (b *holdback) add(e *entry) bool {
	if b.has(e.by, e.seq) || b.count >= maxHeld || b.bytes+e.size() > maxHeldBytes {
		return false
	}
	if b.of == nil {
		b.of = make(map[writer]map[uint64]*entry)
		b.causes = make(map[writer]int)
	}
	if b.of[e.by] == nil {
		b.of[e.by] = make(map[uint64]*entry)
	}
	b.of[e.by][e.seq] = e
	for _, c := range e.causes {
		b.causes[c.of]++
	}
	b.count++
	b.bytes += e.size()
	return true
}

// names reports whether a message that is held is of w or follows one of w.
func (b *holdback) names(w writer) bool { return len(b.of[w]) > 0 || b.causes[w] > 0 }

// first returns the number of the first message of w that is held, 0 if none is.
func (b *holdback) first(w writer) uint64 {
	var first uint64
	for seq := range b.of[w] {
		if first == 0 || seq < first {
			first = seq
		}
	}
	return first
}

func (b *holdback) has(w writer, seq uint64) bool { return b.of[w][seq] != nil }

func (b *holdback) remove(e *entry) {
	delete(b.of[e.by], e.seq)
	if len(b.of[e.by]) == 0 {
		delete(b.of, e.by)
	}
	for _, c := range e.causes {
		if b.causes[c.of]--; b.causes[c.of] <= 0 {
			delete(b.causes, c.of)
		}
	}
	b.count--
	b.bytes -= e.size()
}

// next returns a message whose turn it is according to ready, nil if there is
// none.
func (b *holdback) next(h *history, ready func(*entry) bool) *entry {
	for w, held := range b.of {
		if e := held[h.have(w)+1]; e != nil && ready(e) {
			b.remove(e)
			return e
		}
	}
	return nil
}

// purge drops what was given up meanwhile.
func (b *holdback) purge(h *history) {
	for w, held := range b.of {
		for seq, e := range held {
			if h.past(w, seq) {
				b.remove(e)
			}
		}
	}
}

// drop drops every message of w.
func (b *holdback) drop(w writer) {
	for _, e := range b.of[w] {
		b.remove(e)
	}
}
