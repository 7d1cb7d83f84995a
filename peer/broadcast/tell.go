package broadcast

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"peerlab/event"
)

// Reasons of events.
const (
	reasonAgain = "deleted long ago, and brought back by a member that missed it"
	reasonLate  = "may have been deleted: it is older than the deletions that are passed on"
	reasonRoom  = "no room: there are newer keys"
	reasonClock = "its clock is not believed any more"
)

// tell reports a write that this member has made or taken over. The caller
// holds mu, so that events come in the order of the changes.
func (m *Map) tell(r record, via, reason string) {
	if m.events == nil {
		return
	}
	e := event.Event{Kind: event.BroadcastDeleted, Key: r.key, Member: r.author, Version: r.clock, Via: via, Reason: reason}
	if !r.deleted {
		e.Kind, e.Digest = event.BroadcastSet, Digest(r.key, r.author, r.clock, r.text)
	}
	m.events.Emit(e)
}

// tellGone reports that this member has dropped a write that nobody deleted. The
// caller holds mu.
func (m *Map) tellGone(r record, reason string) {
	if m.events != nil && !r.deleted {
		m.events.Emit(event.Event{Kind: event.BroadcastDeleted, Key: r.key, Member: r.author, Version: r.clock, Reason: reason})
	}
}

// Digest returns what stands for a text in events: 64 bits of SHA-256 over the
// whole write, as 16 hexadecimal digits. Whoever has the text can compare it.
// The version and its author are part of it, so that equal texts of two writes
// do not look alike and no table made beforehand finds one. A text that can be
// guessed, such as a PIN, can still be found by trying.
func Digest(key, author string, version uint64, text string) string {
	b := binary.AppendUvarint(nil, version)
	for _, s := range []string{key, author, text} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
