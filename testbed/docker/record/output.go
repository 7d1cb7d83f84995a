package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/adapter"
)

// outputDecoder makes events of what one container writes, line by line. All
// readers use it, so that they believe the same: an event is of the peer whose
// container wrote it, whatever name the line has, and never of the lab. What is
// no event, or no event of this peer, is dropped and reported as a problem: the
// first of such lines in a row, and then how many followed.
type outputDecoder struct {
	peer    string
	decode  adapter.Decoder
	stamped bool              // Docker has to put the time in front of each line
	event   func(event.Event) // called with each event, in order
	problem func(error)       // called with what keeps them from being complete

	counted  uint64      // the last Seq given to an event that came without one
	last     event.Event // the last event
	lastLine []byte      // its line
	started  time.Time   // of the last peer.started
	refused  int         // lines in a row that were dropped
	resuming bool        // until the line after lastLine comes by
}

// newOutputDecoder returns a decoder for what a peer writes, from the beginning.
// adapterName is the name of the peer's kind, "" for ours. The decoder calls add
// with each event and problem with what keeps the events from being complete.
func newOutputDecoder(peer, adapterName string, add func(event.Event), problem func(error)) (*outputDecoder, error) {
	kind, err := adapter.Named(adapterName)
	if err != nil {
		return nil, fmt.Errorf("what %s reports: %w", peer, err)
	}
	return &outputDecoder{peer: peer, decode: kind.Decoder(peer), stamped: kind.Stamped(), event: add, problem: problem}, nil
}

// read decodes what Docker has of the container's output, until that ends. An
// unfinished line at the end is a problem if the peer has ended: else the rest
// of it may follow.
func (d *outputDecoder) read(log io.Reader, ended bool) error {
	w := lineWriter{stamped: d.stamped, line: d.line, long: d.long}
	_, err := stdcopy.StdCopy(&w, io.Discard, log)
	if err != nil {
		return err
	}
	w.end()
	d.endRefused()
	if len(w.rest) > 0 && ended {
		d.problem(fmt.Errorf("its last event is cut after %d bytes", len(w.rest)))
	}
	return nil
}

// resume prepares for reading the output again from since, or from its beginning
// if that is the zero time: events that were read before are skipped.
func (d *outputDecoder) resume() (since time.Time) {
	d.resuming = d.lastLine != nil
	return d.last.Time
}

// line decodes one line.
func (d *outputDecoder) line(line []byte) {
	if d.resuming && bytes.Equal(line, d.lastLine) {
		d.resuming, d.counted = false, d.last.Seq
		return
	}
	e, isEvent, err := d.parse(line)
	if d.resuming {
		if err != nil || !isEvent || !d.isNew(e) {
			return
		}
		d.resuming = false // the daemon has dropped the line that was looked for
	}
	if err != nil {
		d.refuse(err)
		return
	}
	if !isEvent {
		return
	}
	if strings.HasPrefix(string(e.Kind), testbed.Lab+".") {
		d.refuse(fmt.Errorf("%q is an event of the lab: no peer reports it", clip(string(e.Kind))))
		return
	}
	gap, repeated := d.checkOrder(e)
	if repeated {
		d.refuse(fmt.Errorf("event %d came again, after %d", e.Seq, d.last.Seq))
		return
	}
	d.endRefused()
	if gap != nil {
		d.problem(gap)
	}
	if e.Kind == event.PeerStarted {
		d.started = e.Time
	}
	d.last, d.lastLine = e, bytes.Clone(line)
	e.Peer = d.peer
	d.event(e)
}

// parse returns the event of a line, numbered.
func (d *outputDecoder) parse(line []byte) (e event.Event, isEvent bool, err error) {
	var at time.Time
	if d.stamped {
		stamp, text, _ := bytes.Cut(line, []byte(" "))
		if at, err = time.Parse(time.RFC3339Nano, string(stamp)); err != nil {
			return e, false, fmt.Errorf("a line without Docker's stamp: %w", err)
		}
		line = text
	}
	e, isEvent, err = d.decode(at, line)
	if err != nil || !isEvent || e.Seq != 0 {
		return e, isEvent, err
	}
	d.counted++
	if e.Kind == event.PeerStarted {
		d.counted = 1
	}
	e.Seq = d.counted
	return e, true, nil
}

// isNew reports whether e comes after the last event that was read: a later one
// of the same life, or the first of another.
func (d *outputDecoder) isNew(e event.Event) bool {
	if d.stamped || e.Seq == 1 {
		return e.Time.After(d.last.Time)
	}
	return e.Seq > d.last.Seq && !e.Time.Before(d.started)
}

// checkOrder reports whether e was there before, and else what is missing before
// it.
func (d *outputDecoder) checkOrder(e event.Event) (gap error, repeated bool) {
	start := e.Seq == 1 && e.Kind == event.PeerStarted
	switch {
	case d.lastLine == nil && !start:
		return fmt.Errorf("what there is begins with event %d, %s: Docker's log was rotated (max-size), or cut", e.Seq, clip(string(e.Kind))), false
	case start:
		return nil, e.Time.Equal(d.started)
	case e.Seq <= d.last.Seq:
		return nil, true
	case e.Seq != d.last.Seq+1 && d.lastLine != nil:
		return fmt.Errorf("event %d came after %d", e.Seq, d.last.Seq), false
	}
	return nil, false
}

// long notes a line that was dropped because it was too long.
func (d *outputDecoder) long() {
	if !d.resuming {
		d.refuse(fmt.Errorf("a line of more than %d MiB was dropped", event.MaxLine>>20))
	}
}

func (d *outputDecoder) refuse(err error) {
	if d.refused++; d.refused == 1 {
		d.problem(errors.New(clip(err.Error())))
	}
}

// endRefused tells how many lines in a row were dropped.
func (d *outputDecoder) endRefused() {
	if d.refused > 1 {
		d.problem(fmt.Errorf("lines after it that were refused, too: %d", d.refused-1))
	}
	d.refused = 0
}

// clip shortens what somebody else wrote.
func clip(text string) string {
	const most = 200
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
