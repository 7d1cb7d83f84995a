//go:build linux

package main

import (
	"time"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/fabric"
)

// journal writes each change of links as the event that the lab records of it,
// with addresses in place of names. Docker keeps the lines for as long as the
// agent lives: so who comes later knows what others did. Changes are numbered, so
// that a reader notices one that was lost.
type journal struct {
	out     *outputQueue
	changes uint64
}

// add queues a change. It does not wait for it to be written: whoever changed the
// links waits, and a large matrix takes milliseconds to write. The agent calls it
// for one change after the other.
func (j *journal) add(m fabric.Matrix, at time.Time) {
	j.changes++
	seq := j.changes
	j.out.add(func() []byte {
		links := make(testbed.Links, len(m))
		for pair, link := range m {
			links[testbed.Pair{From: pair.From.String(), To: pair.To.String()}] = link
		}
		return event.Event{Time: at, Seq: seq, Peer: testbed.Lab, Kind: links.Kind(), Text: links.String()}.Encode()
	})
}
