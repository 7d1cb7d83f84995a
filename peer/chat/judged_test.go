package chat

import (
	"testing"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/testbed"
)

// judged has the check that peerlab has judge the same lives, as a history of
// peers each of which was killed when its life ended.
func judged(t *testing.T, lives []*life) observe.Checked {
	t.Helper()
	var history []event.Event
	for _, l := range lives {
		history = append(history, event.Event{Time: l.began, Seq: 1, Peer: l.name, Kind: event.PeerStarted})
		events, _ := l.log.Since(0)
		for _, e := range events {
			e.Seq++
			history = append(history, e)
		}
		if !l.up {
			history = append(history, event.Event{Time: l.ended, Peer: testbed.Lab, Kind: testbed.LabKill, Member: l.name})
		}
	}
	c, err := observe.Check(&observe.Record{Events: testbed.Sorted(history)}, "chat")
	if err != nil {
		t.Fatal(err)
	}
	return c
}
