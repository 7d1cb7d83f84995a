package docker

import (
	"bytes"
	"fmt"
	"time"

	"peerlab/event"
	"peerlab/testbed/docker/adapter"
)

// teller makes events of the lines that one peer writes.
type teller struct {
	decode  adapter.Decoder
	stamped bool
	seq     uint64 // of the last event, if it is for the teller to count
}

func newTeller(m container) (*teller, error) {
	kind, err := adapter.Named(m.adapter)
	if err != nil {
		return nil, err
	}
	return &teller{decode: kind.Decoder(m.Name), stamped: kind.Stamped()}, nil
}

// event returns the event that a line tells of, if it does.
func (t *teller) event(line []byte) (e event.Event, tells bool, err error) {
	var at time.Time
	if t.stamped {
		stamp, text, _ := bytes.Cut(line, []byte(" "))
		if at, err = time.Parse(time.RFC3339Nano, string(stamp)); err != nil {
			return e, false, fmt.Errorf("a line without Docker's stamp: %w", err)
		}
		line = text
	}
	e, tells, err = t.decode(at, line)
	if err != nil || !tells || e.Seq != 0 {
		return e, tells, err
	}
	t.seq++
	if e.Kind == event.PeerStarted {
		t.seq = 1
	}
	e.Seq = t.seq
	return e, true, nil
}
