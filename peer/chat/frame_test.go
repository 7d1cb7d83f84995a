package chat

import (
	"bytes"
	"testing"
)

func FuzzReadFrame(f *testing.F) {
	for _, fr := range []frame{
		{Kind: hello, From: "a", To: "b", Incarnation: 1},
		{Kind: message, Seq: 1, Text: "hello"},
		{Kind: ack, Seq: 1},
		{Kind: ping},
	} {
		var b bytes.Buffer
		if err := writeFrame(&b, fr); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		fr, err := readFrame(bytes.NewReader(in))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := writeFrame(&b, fr); err != nil {
			t.Fatalf("cannot write what was read: %v", err)
		}
		if again, err := readFrame(&b); err != nil || again != fr {
			t.Fatalf("%+v comes back as %+v, %v", fr, again, err)
		}
	})
}
