package chat

import (
	"cmp"
	"slices"

	"peerlab/peer/chat/chatpb"
)

// writer is one life of a member: the unit in which messages are counted.
type writer struct {
	name        string
	incarnation uint64
}

func (w writer) valid() bool { return validName(w.name) && w.incarnation != 0 }

func compareWriters(a, b writer) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.incarnation, b.incarnation))
}

// vector is a version vector: for each writer, up to which of its messages.
type vector map[writer]uint64

// mark is one entry of a vector.
type mark struct {
	of  writer
	seq uint64
}

// marks returns v in the protocol's form, by writer.
func (v vector) marks() []*chatpb.Mark {
	writers := make([]writer, 0, len(v))
	for w, seq := range v {
		if seq > 0 {
			writers = append(writers, w)
		}
	}
	slices.SortFunc(writers, compareWriters)
	marks := make([]*chatpb.Mark, len(writers))
	for i, w := range writers {
		marks[i] = &chatpb.Mark{Author: w.name, Incarnation: w.incarnation, Seq: v[w]}
	}
	return marks
}

// writersOf returns whose marks they are.
func writersOf(marks []*chatpb.Mark) []writer {
	writers := make([]writer, len(marks))
	for i, m := range marks {
		writers[i] = writer{m.GetAuthor(), m.GetIncarnation()}
	}
	return writers
}

// vectorOf is the reverse of marks.
func vectorOf(marks []*chatpb.Mark) vector {
	v := make(vector, len(marks))
	for _, m := range marks {
		v[writer{m.GetAuthor(), m.GetIncarnation()}] = m.GetSeq()
	}
	return v
}
