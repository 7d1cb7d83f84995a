package chat

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"peerlab/peer/chat/chatpb"
)

// The limits of what is taken from others.
const (
	maxFrame = 1 << 20 // bytes
	// helloFrame is the longest first frame of a caller, and strangerFrame the
	// longest of one that membership does not know: a message fits into it.
	helloFrame    = 2 << 10
	strangerFrame = MaxText + 16<<10
	maxMarks      = 10_000  // of a version vector
	maxCauses     = 4096    // of a message
	maxRanges     = 256     // of a pull
	maxName       = 255     // bytes
	maxSeq        = 1 << 40 // no writer gets there: at a million messages a second it takes two weeks
)

// appendFrame appends f to b with its length in front.
func appendFrame(b []byte, f *chatpb.Frame) []byte {
	size := proto.Size(f)
	b = protowire.AppendVarint(slices.Grow(b, size+protowire.SizeVarint(uint64(size))), uint64(size))
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, f)
	if err != nil {
		panic(err) // text that is no UTF-8, which neither Send nor decoding lets in
	}
	return b
}

// unmarshal is for the frames that are no messages.
func unmarshal(body []byte) (*chatpb.Frame, error) {
	f := new(chatpb.Frame)
	if err := proto.Unmarshal(body, f); err != nil {
		return nil, errBadFrame{why: "that is no protobuf: " + err.Error()}
	}
	return f, nil
}

// errBadFrame is a frame that breaks the protocol.
type errBadFrame struct {
	why       string
	oversized bool
}

func (e errBadFrame) Error() string { return "chat frame " + e.why }

func checkMarks(marks []*chatpb.Mark) error {
	if len(marks) > maxMarks {
		return errBadFrame{fmt.Sprintf("with a vector of %d marks: the limit is %d", len(marks), maxMarks), true}
	}
	for _, m := range marks {
		if !(writer{m.GetAuthor(), m.GetIncarnation()}).valid() {
			return errBadFrame{why: "with a mark without author or incarnation"}
		}
	}
	return nil
}

func validName(name string) bool { return name != "" && len(name) <= maxName }

// writableName reports whether a member of that name can be written of: in a
// frame, which takes UTF-8 only, and in a message's id, which a slash divides.
func writableName(name string) bool {
	return validName(name) && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool {
		return r == '/' || unicode.IsControl(r)
	})
}
