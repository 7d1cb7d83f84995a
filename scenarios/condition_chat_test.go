package scenarios

import (
	"slices"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/observe/theory"
	"peerlab/testbed"
)

// The condition counts a message as owed to whom check chat does.
func TestChatCompleteAgreesWithTheCheck(t *testing.T) {
	type told struct {
		peer  string
		kind  event.Kind
		about string
	}
	started := []told{{"a", event.PeerStarted, ""}, {"b", event.PeerStarted, ""}, {"c", event.PeerStarted, ""}}
	acquainted := append(slices.Clone(started),
		told{"a", event.ChatJoin, "b"}, told{"a", event.ChatJoin, "c"}, told{"b", event.ChatJoin, "a"}, told{"b", event.ChatJoin, "c"},
		told{"c", event.ChatJoin, "a"}, told{"c", event.ChatJoin, "b"})
	for name, test := range map[string]struct {
		happened []told
		lack     []string
	}{
		"all have it": {append(slices.Clone(acquainted), told{"a", event.ChatSent, "a/1/1"},
			told{"b", event.ChatDelivered, "a/1/1"}, told{"c", event.ChatDelivered, "a/1/1"}), nil},
		"one lacks it": {append(slices.Clone(acquainted), told{"a", event.ChatSent, "a/1/1"}, told{"b", event.ChatDelivered, "a/1/1"}), []string{"c"}},
		"the author did not know it": {append(slices.Clone(started), told{"a", event.ChatJoin, "b"}, told{"b", event.ChatJoin, "c"}, told{"c", event.ChatJoin, "b"},
			told{"a", event.ChatSent, "a/1/1"}, told{"b", event.ChatDelivered, "a/1/1"}), nil},
		"the author's new life has not met it yet": {append(slices.Clone(acquainted), told{testbed.Lab, testbed.LabKill, "a"}, told{"a", event.PeerStarted, ""},
			told{"a", event.ChatJoin, "b"}, told{"a", event.ChatSent, "a/2/1"}, told{"b", event.ChatDelivered, "a/2/1"}), nil},
		"the author knew its earlier life": {append(slices.Clone(acquainted), told{testbed.Lab, testbed.LabKill, "c"}, told{"c", event.PeerStarted, ""},
			told{"c", event.ChatJoin, "a"}, told{"a", event.ChatSent, "a/1/1"}, told{"b", event.ChatDelivered, "a/1/1"}), nil},
		"the author is dead, one has it": {append(slices.Clone(acquainted), told{"a", event.ChatSent, "a/1/1"}, told{"b", event.ChatDelivered, "a/1/1"},
			told{testbed.Lab, testbed.LabKill, "a"}), []string{"c"}},
		"the author is dead, nobody has it": {append(slices.Clone(acquainted), told{"a", event.ChatSent, "a/1/1"}, told{testbed.Lab, testbed.LabKill, "a"}), nil},
		"only an earlier life has it": {append(slices.Clone(acquainted), told{"a", event.ChatSent, "a/1/1"}, told{"b", event.ChatDelivered, "a/1/1"},
			told{testbed.Lab, testbed.LabKill, "a"}, told{testbed.Lab, testbed.LabKill, "b"}, told{"b", event.PeerStarted, ""}, told{"b", event.ChatJoin, "c"}), nil},
		"the author is back and has not said anything": {append(slices.Clone(acquainted), told{"a", event.ChatSent, "a/1/1"},
			told{testbed.Lab, testbed.LabKill, "a"}, told{"a", event.PeerStarted, ""}, told{"a", event.ChatJoin, "b"}), nil},
		"it left by itself": {append(slices.Clone(acquainted), told{"a", event.ChatSent, "a/1/1"}, told{"b", event.ChatDelivered, "a/1/1"},
			told{"a", event.ChatLeave, "c"}), nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(nil, nil, theory.Model{})
			c := chatComplete{}
			c.begin(w)
			seq := make(map[string]uint64)
			for i, h := range test.happened {
				if h.kind == event.PeerStarted {
					seq[h.peer] = 0
				}
				seq[h.peer]++
				e := event.Event{Time: time.Unix(int64(i), 0), Seq: seq[h.peer], Peer: h.peer, Kind: h.kind}
				switch h.kind {
				case event.ChatSent, event.ChatDelivered:
					e.Message, e.Text = h.about, "hello"
				case event.ChatLeave:
					e.Member, e.Reason = h.about, "leave"
				default:
					e.Member = h.about
				}
				w.add(e)
			}
			if _, lack := w.mail.firstOpen(w); !slices.Equal(lack, test.lack) || c.holds(w) != (len(lack) == 0) {
				t.Errorf("complete: %t, lacking: %q, want %q", c.holds(w), lack, test.lack)
			}
			checked, err := observe.Check(&observe.Record{Events: w.events}, "chat")
			if err != nil {
				t.Fatal(err)
			}
			if fails := checked.Verdict == observe.Fail; fails != (len(test.lack) > 0) {
				t.Errorf("the check: %s", checked)
			}
		})
	}
}
