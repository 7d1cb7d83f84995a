package scenarios

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"peerlab/event"
	"peerlab/testbed"
)

// A long message does not hide what is around it; of the lab's acts one sees more.
func TestStoryShortensTexts(t *testing.T) {
	long := strings.Repeat("x", 2000)
	for _, test := range []struct {
		peer string
		kind event.Kind
		most int // columns
	}{
		{"alice", event.ChatSent, 100},
		{testbed.Lab, testbed.LabMark, 170},
		{testbed.Lab, testbed.LabLink, 170},
	} {
		e := event.Event{Peer: test.peer, Kind: test.kind, Message: "alice/946684800190/1", Text: long}
		if n := utf8.RuneCountInString(tell(e, time.Time{})); n > test.most || n < test.most-50 {
			t.Errorf("%s has %d columns, not up to %d", test.kind, n, test.most)
		}
	}
}
