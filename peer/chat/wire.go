package chat

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"peerlab/peer/chat/chatpb"
)

// The limits of what is taken from others.
const (
	maxFrame  = 1 << 20 // bytes
	maxMarks  = 10_000  // of a version vector
	maxCauses = 4096    // of a message
	maxRanges = 256     // of a pull
	maxName   = 255     // bytes
)

// buffer is how much is read and written at once, in bytes.
const buffer = 64 << 10

// appendFrame appends f to b with its length in front.
func appendFrame(b []byte, f *chatpb.Frame) []byte {
	size := proto.Size(f)
	b = protowire.AppendVarint(slices.Grow(b, size+protowire.SizeVarint(uint64(size))), uint64(size))
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, f)
	if err != nil {
		panic(err) // text that is no UTF-8, which neither Send nor readFrame lets in
	}
	return b
}

// readFrame reads the next frame. A frame that is too long or no protobuf is an
// errBadFrame, after which the stream cannot be understood any more.
func readFrame(r *bufio.Reader) (*chatpb.Frame, error) {
	f := new(chatpb.Frame)
	err := protodelim.UnmarshalOptions{MaxSize: maxFrame}.UnmarshalFrom(r, f)
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return f, err
	}
	if tooLarge := (*protodelim.SizeTooLargeError)(nil); errors.As(err, &tooLarge) {
		return nil, errBadFrame{fmt.Sprintf("of %d bytes: the limit is %d", tooLarge.Size, maxFrame), true}
	}
	if errors.Is(err, proto.Error) {
		return nil, errBadFrame{"that is no protobuf: " + err.Error(), false}
	}
	return nil, err
}

// errBadFrame is a frame that breaks the protocol.
type errBadFrame struct {
	why       string
	oversized bool
}

func (e errBadFrame) Error() string { return "chat frame " + e.why }

// checkMessage says what is wrong with a message of another peer.
func checkMessage(m *chatpb.Message) error {
	switch {
	case !validName(m.GetAuthor()) || m.GetIncarnation() == 0 || m.GetSeq() == 0:
		return errBadFrame{why: "with a message without author, incarnation or sequence number"}
	case len(m.GetText()) > MaxText:
		return errBadFrame{fmt.Sprintf("with a message of %d bytes: the limit is %d", len(m.GetText()), MaxText), true}
	case len(m.GetCauses()) > maxCauses:
		return errBadFrame{fmt.Sprintf("with a message of %d causes: the limit is %d", len(m.GetCauses()), maxCauses), true}
	}
	return checkMarks(m.GetCauses())
}

func checkMarks(marks []*chatpb.Mark) error {
	if len(marks) > maxMarks {
		return errBadFrame{fmt.Sprintf("with a vector of %d marks: the limit is %d", len(marks), maxMarks), true}
	}
	for _, m := range marks {
		if !validName(m.GetAuthor()) || m.GetIncarnation() == 0 {
			return errBadFrame{why: "with a mark without author or incarnation"}
		}
	}
	return nil
}

func validName(name string) bool { return name != "" && len(name) <= maxName }
