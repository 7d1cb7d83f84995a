package chat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"peerlab/peer/chat/chatpb"
)

// conversation is the frames of one author's messages.
func conversation(n, size int) (b []byte, texts []string) {
	for i := range n {
		e := &entry{by: writer{"a", 1}, seq: uint64(i + 1), text: fmt.Sprint(i, " ", strings.Repeat("x", size))}
		b = append(appendHead(b, fieldMessage, e), e.text...)
		texts = append(texts, e.text)
	}
	return b, texts
}

func TestReaderCutsFrames(t *testing.T) {
	for _, size := range []int{0, 100, 4096, MaxText - 10} {
		in, want := conversation(max(400*100/(size+100), 5), size)
		for name, conn := range map[string]io.Reader{
			"at once": bytes.NewReader(in), "halves": iotest.HalfReader(bytes.NewReader(in)), "bytes": iotest.OneByteReader(bytes.NewReader(in)),
			"end with the last": iotest.DataErrReader(bytes.NewReader(in)),
		} {
			r := &frameReader{conn: conn}
			var got []string
			var frames []incoming
			var err error
			for err == nil {
				frames, err = r.batch(frames[:0])
				for _, f := range frames {
					got = append(got, string(f.body))
				}
			}
			if !errors.Is(err, io.EOF) || !equal(got, want) {
				t.Errorf("%d bytes, %s: %d messages, %v", size, name, len(got), err)
			}
			if len(r.buf) > buffer {
				t.Errorf("%d bytes, %s: a buffer of %d bytes", size, name, len(r.buf))
			}
		}
	}
}

func equal(a, b []string) bool { return strings.Join(a, "\n") == strings.Join(b, "\n") }

func TestReaderEnds(t *testing.T) {
	in, _ := conversation(2, 10)
	long := appendFrame(nil, &chatpb.Frame{Kind: &chatpb.Frame_Hello{Hello: &chatpb.Hello{From: strings.Repeat("x", 3*buffer)}}})
	for name, test := range map[string]struct {
		in        []byte
		want      int
		oversized bool
		malformed bool
	}{
		"cut":                   {in: in[:len(in)-1], want: 1},
		"too long":              {in: binary.AppendUvarint(bytes.Clone(in), maxFrame+1), want: 2, oversized: true},
		"a length without end":  {in: append(bytes.Clone(in), bytes.Repeat([]byte{0xff}, 11)...), want: 2, malformed: true},
		"no protobuf":           {in: append(bytes.Clone(in), 1, 0xff), want: 2, malformed: true},
		"hello, after long one": {in: append(long, in...), want: 0, malformed: true},
	} {
		r := &frameReader{conn: bytes.NewReader(test.in)}
		n := 0
		var frames []incoming
		var err error
		for err == nil {
			frames, err = r.batch(frames[:0])
			n += len(frames)
		}
		var bad errBadFrame
		is := errors.As(err, &bad)
		if n != test.want || is != (test.oversized || test.malformed) || bad.oversized != test.oversized {
			t.Errorf("%s: %d frames, %v", name, n, err)
		}
		if !is && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What was read to where it stays is not written over, and is given away only
// where the better part of it is news.
func TestTextsStay(t *testing.T) {
	c := bare(t)
	in, want := conversation(2000, 4096)
	s := &session{chat: c, reader: &frameReader{conn: bytes.NewReader(append(bytes.Clone(in), in...))}, member: c.meet(writer{"a", 1})}
	if err := s.hold(); err != nil {
		t.Fatal(err)
	}
	var frames []incoming
	given := 0
	for err := error(nil); err == nil; {
		frames, err = s.reader.batch(frames[:0])
		c.mu.Lock()
		s.takeAll(frames, time.Now())
		c.mu.Unlock()
		for _, f := range frames {
			if f.given {
				given += len(f.body)
			}
		}
	}
	if c.Stats().Duplicates != 2000 {
		t.Errorf("%+v", c.Stats())
	}
	if given < len(in)/2 || given > len(in) { // of what came twice nothing
		t.Errorf("%d bytes of %d were given away", given, len(in))
	}
	kept := c.history.get(writer{"a", 1}, 1, 2000)
	if len(kept) == 0 {
		t.Fatal("nothing is kept")
	}
	for _, e := range kept {
		if e.text != want[e.seq-1] {
			t.Fatalf("%d says %.20q", e.seq, e.text)
		}
	}
	s.release()
}

func TestTextsTakeLittle(t *testing.T) {
	var kept texts
	pieces, said := 0, 0
	last := 0
	for i := range 5000 {
		text := bytes.Repeat([]byte{byte('a' + i%26)}, i*7%5000+1)
		if got := kept.keep(text); got != string(text) {
			t.Fatalf("%d: %.20q", i, got)
		}
		said += len(text)
		if kept.piece.Len() <= last { // a new one
			pieces += kept.piece.Cap()
		}
		last = kept.piece.Len()
	}
	if pieces > 2*said+lastPiece {
		t.Errorf("%d bytes take %d", said, pieces)
	}
}
