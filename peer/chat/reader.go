package chat

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"

	"peerlab/peer/chat/chatpb"
)

const (
	// buffer is how much is read at once, in bytes, from a connection on which
	// much comes.
	buffer      = 128 << 10
	firstBuffer = 2 << 10 // by any
	maxBatch    = 256     // frames
)

// frameReader cuts what comes on a connection into frames.
type frameReader struct {
	conn       io.Reader
	buf        []byte
	start, end int    // of what has come and was not taken yet
	full       bool   // the last read filled buf
	given      bool   // buf is kept by others
	author     string // of the last message
	// limit is the longest frame that is taken, in bytes: maxFrame if it is zero.
	// If more is set, it is asked for another limit when a frame is longer.
	limit uint64
	more  func() uint64
}

// tooLong reports whether a frame is longer than what is taken. Room is made for
// a frame as it comes, so this bounds what a connection can take of the memory.
func (r *frameReader) tooLong(size uint64) bool {
	if r.limit == 0 {
		r.limit = maxFrame
	}
	if size > r.limit && r.more != nil {
		r.limit = r.more()
	}
	return size > r.limit
}

// next returns the next frame without its length, which stays as it is until
// the connection is read again. It reads only if ready says no. After an
// errBadFrame the stream cannot be understood any more.
func (r *frameReader) next() ([]byte, error) {
	for {
		body, err := r.peek()
		if body != nil || err != nil {
			return body, err
		}
		if err := r.fill(); err != nil {
			if errors.Is(err, io.EOF) && r.end > r.start {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// peek takes a frame that has come whole. It returns neither a frame nor an
// error if there is none.
func (r *frameReader) peek() ([]byte, error) {
	come := r.buf[r.start:r.end]
	size, n := protowire.ConsumeVarint(come)
	switch {
	case n < 0 && len(come) < 10:
		return nil, nil // not all of the length
	case n < 0:
		return nil, errBadFrame{why: "without a length"}
	case r.tooLong(size):
		return nil, errBadFrame{fmt.Sprintf("of %d bytes: the limit is %d", size, r.limit), true}
	case uint64(len(come)-n) < size:
		return nil, nil
	}
	r.start += n + int(size)
	return come[n : n+int(size) : n+int(size)], nil
}

// fill reads once. Its buffer is as large as what comes at once, so that the
// many connections on which little comes take little.
func (r *frameReader) fill() error {
	rest := r.buf[r.start:r.end]
	switch size := len(r.buf); {
	case len(rest) < buffer && (size > buffer || r.given): // long frames are few
		r.buf = uncleared(buffer)
	case len(rest) == size || r.full && size < buffer:
		r.buf = make([]byte, max(2*size, firstBuffer))
	}
	r.given = false
	r.start, r.end = 0, copy(r.buf, rest)
	n, err := r.conn.Read(r.buf[r.end:])
	r.end += n
	r.full = r.end == len(r.buf)
	if n > 0 {
		return nil
	}
	return err
}

// giveAway leaves the memory of what was read to others, who keep so many bytes of
// it, if that is worth it: nothing will be written over it then. It is not, if much
// else were kept with them.
func (r *frameReader) giveAway(bytes int) bool {
	if len(r.buf) != buffer || bytes < buffer/2 {
		return false
	}
	r.given = true
	return true
}

// empty says that nothing has come that was not taken.
func (r *frameReader) empty() bool { return r.start == r.end }

// one returns the next frame, be it a message or not.
func (r *frameReader) one() (*chatpb.Frame, error) {
	body, err := r.next()
	if err != nil {
		return nil, err
	}
	return unmarshal(body)
}

// batch waits for a frame and appends it to frames, with those that have come
// by then. Whatever the error, the frames before it are good, and stay as they are
// until the next call.
func (r *frameReader) batch(frames []incoming) ([]incoming, error) {
	body, err := r.next()
	for body != nil && err == nil {
		f, bad := decode(body, r.author)
		if bad != nil {
			return frames, bad
		}
		if f.other == nil {
			r.author = f.by.name
		}
		if frames = append(frames, f); len(frames) == maxBatch {
			return frames, nil
		}
		body, err = r.peek()
	}
	return frames, err
}
