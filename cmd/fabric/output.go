//go:build linux

package main

import (
	"bytes"
	"io"
	"time"
)

// Bounds of what waits for somebody to read it, and for how long the end of the
// program waits.
const (
	queuedLines  = 64
	closeTimeout = time.Second
)

// outputQueue writes lines in the background. The agent writes while it holds its
// lock, and its rules must end in time even if nobody reads what it writes.
type outputQueue struct {
	lines   chan func() []byte
	closing chan struct{}
	written chan struct{}
}

func newOutputQueue(out io.Writer) *outputQueue {
	q := &outputQueue{
		lines: make(chan func() []byte, queuedLines), closing: make(chan struct{}), written: make(chan struct{}),
	}
	go q.run(out)
	return q
}

func (q *outputQueue) run(out io.Writer) {
	defer close(q.written)
	for {
		var line func() []byte
		select {
		case line = <-q.lines:
		case <-q.closing:
			select {
			case line = <-q.lines:
			default:
				return
			}
		}
		_, _ = out.Write(line()) // a lost line is no reason to drop the rules
	}
}

// add queues what line returns. If the queue is full, the line is lost.
func (q *outputQueue) add(line func() []byte) {
	select {
	case q.lines <- line:
	default:
	}
}

// Write queues a copy of p.
func (q *outputQueue) Write(p []byte) (int, error) {
	p = bytes.Clone(p)
	q.add(func() []byte { return p })
	return len(p), nil
}

// close writes what is queued, unless nobody reads it. What is added later is lost.
func (q *outputQueue) close() {
	close(q.closing)
	select {
	case <-q.written:
	case <-time.After(closeTimeout):
	}
}
