package chat

import (
	"strings"
	"unsafe"
)

// What is said goes through memory once: it is read to where it stays, and
// written from there.

// stringOf returns b as a string, which b must not be changed after.
func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// bytesOf returns the bytes of s, which must not be changed.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// uncleared returns n bytes that hold anything: a Builder has such, and clearing
// what is about to be read over costs as much as reading it.
func uncleared(n int) []byte {
	var b strings.Builder
	b.Grow(n)
	b.WriteByte(0)
	return unsafe.Slice(unsafe.StringData(b.String()), n) // of a string nobody has
}

// texts keeps what messages say, many in one piece of memory. A piece is freed
// with the last of its texts, so texts have to be let go in about the order in
// which they were kept, as a history does. What they take is then at most twice
// their length and a piece.
type texts struct {
	piece strings.Builder
	size  int
}

// The size of pieces in bytes: the more is said, the larger.
const (
	firstPiece = 512
	lastPiece  = 64 << 10
)

// keep returns a copy of text.
func (t *texts) keep(text []byte) string {
	if t.piece.Cap()-t.piece.Len() < len(text) {
		t.size = min(max(2*t.size, firstPiece), lastPiece)
		if len(text) > t.size/2 {
			return string(text)
		}
		t.piece = strings.Builder{}
		t.piece.Grow(t.size)
	}
	at := t.piece.Len()
	t.piece.Write(text)
	return t.piece.String()[at:]
}
