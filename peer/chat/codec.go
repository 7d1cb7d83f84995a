package chat

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"peerlab/peer/chat/chatpb"
)

// incoming is a frame of another chat, checked in itself: a message or, if other
// is set, anything else.
type incoming struct {
	arrival
	relayed bool
	other   *chatpb.Frame
}

// is says whether f is that message, from its author.
func (f *incoming) is(w writer, seq uint64) bool {
	return f.other == nil && !f.relayed && f.seq == seq && f.by == w
}

// arrival is a message that came. What it says is copied only once it is known to
// be news.
type arrival struct {
	entry        // without the text
	body  []byte // the text
	given bool   // body stays as it is, and may be kept
}

// The numbers of chat.proto.
const (
	fieldMessage = 2 // of a Frame
	fieldRelayed = 3

	fieldAuthor      = 1 // of a Message, and of a Mark
	fieldIncarnation = 2
	fieldSeq         = 3
	fieldCauses      = 4
	fieldText        = 5
)

// appendHead appends a frame of e, pushed or relayed, with its length in front, but
// for the text, which comes last.
func appendHead(b []byte, num protowire.Number, e *entry) []byte {
	size := e.encodedSize()
	b = slices.Grow(b, size-len(e.text)+16)
	b = protowire.AppendVarint(b, uint64(protowire.SizeTag(num)+protowire.SizeBytes(size)))
	b = protowire.AppendTag(b, num, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	return e.encodeHead(b)
}

// encodedSize is how many bytes encode appends.
func (e *entry) encodedSize() int {
	size := mark{e.by, e.seq}.encodedSize() + protowire.SizeTag(fieldText) + protowire.SizeBytes(len(e.text))
	for _, c := range e.causes {
		size += protowire.SizeTag(fieldCauses) + protowire.SizeBytes(c.encodedSize())
	}
	return size
}

// encode appends e as a Message.
func (e *entry) encode(b []byte) []byte { return append(e.encodeHead(b), e.text...) }

func (e *entry) encodeHead(b []byte) []byte {
	b = mark{e.by, e.seq}.encode(b)
	for _, c := range e.causes {
		b = protowire.AppendTag(b, fieldCauses, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(c.encodedSize()))
		b = c.encode(b)
	}
	b = protowire.AppendTag(b, fieldText, protowire.BytesType)
	return protowire.AppendVarint(b, uint64(len(e.text)))
}

func (m mark) encodedSize() int {
	return protowire.SizeTag(fieldAuthor) + protowire.SizeBytes(len(m.of.name)) +
		protowire.SizeTag(fieldIncarnation) + protowire.SizeVarint(m.of.incarnation) +
		protowire.SizeTag(fieldSeq) + protowire.SizeVarint(m.seq)
}

// encode appends m as a Mark, of which the first fields of a Message are one.
func (m mark) encode(b []byte) []byte {
	b = protowire.AppendTag(b, fieldAuthor, protowire.BytesType)
	b = protowire.AppendString(b, m.of.name)
	b = protowire.AppendTag(b, fieldIncarnation, protowire.VarintType)
	b = protowire.AppendVarint(b, m.of.incarnation)
	b = protowire.AppendTag(b, fieldSeq, protowire.VarintType)
	return protowire.AppendVarint(b, m.seq)
}

// decode reads a frame without its length. A message's text is a part of b. The
// author is the one of the last message, most likely.
func decode(b []byte, author string) (incoming, error) {
	if num, typ, n := protowire.ConsumeTag(b); n > 0 && typ == protowire.BytesType && (num == fieldMessage || num == fieldRelayed) {
		if v, m := protowire.ConsumeBytes(b[n:]); m > 0 && n+m == len(b) {
			a, err := decodeMessage(v, author)
			return incoming{arrival: a, relayed: num == fieldRelayed}, err
		}
	}
	f, err := unmarshal(b)
	if err != nil {
		return incoming{}, err
	}
	switch k := f.GetKind().(type) {
	case *chatpb.Frame_Message:
		a, err := arrivalOf(k.Message)
		return incoming{arrival: a}, err
	case *chatpb.Frame_Relayed:
		a, err := arrivalOf(k.Relayed)
		return incoming{arrival: a, relayed: true}, err
	}
	return incoming{other: f}, check(f)
}

// decodeMessage reads a message alone. Messages are what most frames are, so
// there is a short way beside the generated code.
func decodeMessage(b []byte, author string) (arrival, error) {
	if a, ok := quickly(b, author); ok {
		return a, a.check()
	}
	var m chatpb.Message
	if err := proto.Unmarshal(b, &m); err != nil {
		return arrival{}, errBadFrame{why: "with a message that is no protobuf: " + err.Error()}
	}
	return arrivalOf(&m)
}

func arrivalOf(m *chatpb.Message) (arrival, error) {
	a := arrival{body: []byte(m.GetText())}
	a.by, a.seq = writer{m.GetAuthor(), m.GetIncarnation()}, m.GetSeq()
	for _, c := range m.GetCauses() {
		a.causes = append(a.causes, mark{writer{c.GetAuthor(), c.GetIncarnation()}, c.GetSeq()})
	}
	return a, a.check()
}

// quickly reads a message that has nothing but the fields known here, the way
// they are known, and leaves any other to the generated code.
func quickly(b []byte, author string) (arrival, bool) {
	var a arrival
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return a, false
		}
		b = b[n:]
		if num == fieldText || num == fieldCauses {
			v, n := protowire.ConsumeBytes(b)
			switch {
			case n < 0 || typ != protowire.BytesType:
				return a, false
			case num == fieldText:
				if !utf8.Valid(v) {
					return a, false
				}
				a.body = v
			default:
				c, ok := quickMark(v)
				if !ok {
					return a, false
				}
				a.causes = append(a.causes, c)
			}
			b = b[n:]
			continue
		}
		m := mark{a.by, a.seq}
		if n = m.field(num, typ, b, author); n < 0 {
			return a, false
		}
		a.by, a.seq = m.of, m.seq
		b = b[n:]
	}
	return a, true
}

func quickMark(b []byte) (m mark, ok bool) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return m, false
		}
		b = b[n:]
		if n = m.field(num, typ, b, ""); n < 0 {
			return m, false
		}
		b = b[n:]
	}
	return m, true
}

// field takes in the value of a field that messages and marks have in common and
// returns its length, less than 0 if it is not as it should be.
func (m *mark) field(num protowire.Number, typ protowire.Type, b []byte, author string) int {
	switch {
	case num == fieldAuthor && typ == protowire.BytesType:
		v, n := protowire.ConsumeBytes(b)
		switch {
		case n < 0 || !utf8.Valid(v):
			return -1
		case string(v) == author: // for the memory of one name
			m.of.name = author
		default:
			m.of.name = string(v)
		}
		return n
	case num == fieldIncarnation && typ == protowire.VarintType:
		v, n := protowire.ConsumeVarint(b)
		m.of.incarnation = v
		return n
	case num == fieldSeq && typ == protowire.VarintType:
		v, n := protowire.ConsumeVarint(b)
		m.seq = v
		return n
	}
	return -1
}

// check says what is wrong with a message of another peer.
func (a *arrival) check() error {
	switch {
	case !a.by.valid() || a.seq == 0:
		return errBadFrame{why: "with a message without author, incarnation or sequence number"}
	case len(a.body) > MaxText:
		return errBadFrame{fmt.Sprintf("with a message of %d bytes: the limit is %d", len(a.body), MaxText), true}
	case len(a.causes) > maxCauses:
		return errBadFrame{fmt.Sprintf("with a message of %d causes: the limit is %d", len(a.causes), maxCauses), true}
	}
	for _, c := range a.causes {
		if !c.of.valid() {
			return errBadFrame{why: "with a mark without author or incarnation"}
		}
	}
	return nil
}

// check says what is wrong with a frame that is no message.
func check(f *chatpb.Frame) error {
	switch k := f.GetKind().(type) {
	case *chatpb.Frame_Hello:
		return errBadFrame{why: "with a second hello"}
	case *chatpb.Frame_Sync:
		return cmp.Or(checkMarks(k.Sync.GetHave()), checkMarks(k.Sync.GetFloor()), checkMarks(k.Sync.GetSince()), checkMarks(k.Sync.GetPresent()))
	case *chatpb.Frame_Pull:
		if n := len(k.Pull.GetRanges()); n > maxRanges {
			return errBadFrame{fmt.Sprintf("with a pull of %d ranges: the limit is %d", n, maxRanges), true}
		}
	}
	return nil
}
