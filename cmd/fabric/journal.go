//go:build linux

package main

import (
	"io"
	"time"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/fabric"
)

// journal writes each change of links as the event that the lab records of it,
// with addresses in place of names. Docker keeps the lines for as long as the
// agent lives: so who comes later knows what others did.
type journal struct {
	out     io.Writer
	changes chan change
	written chan struct{}
}

type change struct {
	matrix fabric.Matrix
	at     time.Time
}

func startJournal(out io.Writer) *journal {
	j := &journal{out: out, changes: make(chan change, 64), written: make(chan struct{})}
	go j.write()
	return j
}

// add hands on a change. It does not wait for it to be written: whoever changed
// the links waits, and a large matrix takes milliseconds to write.
func (j *journal) add(m fabric.Matrix, at time.Time) { j.changes <- change{m, at} }

func (j *journal) write() {
	defer close(j.written)
	seq := uint64(0)
	for c := range j.changes {
		links := make(testbed.Links, len(c.matrix))
		for pair, link := range c.matrix {
			links[testbed.Pair{From: pair.From.String(), To: pair.To.String()}] = link
		}
		seq++
		e := event.Event{Time: c.at, Seq: seq, Peer: testbed.Lab, Kind: links.Kind(), Text: links.String()}
		_, _ = j.out.Write(e.Encode()) // a lost line is no reason to drop the rules
	}
}

// close writes what there is.
func (j *journal) close() {
	close(j.changes)
	<-j.written
}
