package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// order is in which order what several peers answer is shown.
type order int

const (
	asItComes   order = iota // of all at the same time
	oneByOne                 // by name: the next is asked once one has answered
	namesIfSoon              // of all at the same time; what is short and comes soon, by name
)

// inEach does something with each of the peers. What is written of several gets the
// name of the peer in front of each line. The errors are joined, in the order of the
// names.
func inEach(names []string, order order, out, errs io.Writer, do func(name string, out, errs io.Writer) error) error {
	if len(names) == 1 {
		return do(names[0], out, errs)
	}
	shown := &inOrder{held: make([][]heldLine, len(names)), ended: make([]bool, len(names)), released: order != namesIfSoon}
	defer time.AfterFunc(holdTimeout, shown.release).Stop()
	var all sync.WaitGroup
	failed := make([]error, len(names))
	for i, name := range names {
		prefix := linePrefix(names, name)
		one := func() {
			o, e := &prefixWriter{to: out, prefix: prefix, peer: i, shown: shown}, &prefixWriter{to: errs, prefix: prefix, peer: i, shown: shown}
			failed[i] = errors.Join(do(name, o, e), o.flush(), e.flush())
			shown.end(i)
		}
		if order == oneByOne {
			one()
		} else {
			all.Go(one)
		}
	}
	all.Wait()
	return errors.Join(append(failed, shown.err)...)
}

// Bounds of what is held back until the peers before have answered: so many bytes of
// all together, and for so long.
const (
	holdLimit   = 1 << 20
	holdTimeout = time.Second
)

// inOrder shows lines of several peers, those of the first ones first. If one of
// these is slow, or what is held back gets long, all are shown as they come.
type inOrder struct {
	mu       sync.Mutex
	held     [][]heldLine // by peer
	size     int
	ended    []bool
	first    int // that has not ended
	released bool
	err      error // of what was held back
}

type heldLine struct {
	to   io.Writer
	text []byte
}

func (o *inOrder) write(peer int, to io.Writer, text []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.released || peer <= o.first {
		_, err := to.Write(text)
		return err
	}
	o.held[peer] = append(o.held[peer], heldLine{to, text})
	if o.size += len(text); o.size > holdLimit {
		o.releaseLocked()
	}
	return nil
}

// end shows what was held back until this peer has ended.
func (o *inOrder) end(peer int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended[peer] = true
	for o.first < len(o.ended) && o.ended[o.first] {
		if o.first++; o.first < len(o.held) {
			o.show(o.first)
		}
	}
}

func (o *inOrder) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.releaseLocked()
}

func (o *inOrder) releaseLocked() {
	o.released = true
	for peer := range o.held {
		o.show(peer)
	}
}

func (o *inOrder) show(peer int) {
	for _, line := range o.held[peer] {
		if _, err := line.to.Write(line.text); err != nil {
			o.err = err
		}
	}
	o.held[peer] = nil
}

// linePrefix is what stands before the lines of one of several peers.
func linePrefix(names []string, name string) string {
	width := 0
	for _, other := range names {
		width = max(width, len(other))
	}
	return fmt.Sprintf("%-*s | ", width, name)
}

// prefixLimit is the longest line that is kept together, in bytes.
const prefixLimit = 1 << 20

// prefixWriter shows whole lines of one peer, each behind a prefix.
type prefixWriter struct {
	to     io.Writer
	prefix string
	peer   int
	shown  *inOrder
	line   []byte // that has no end yet
}

func (w *prefixWriter) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n') + 1
		part := p
		if end > 0 {
			part = p[:end]
		}
		w.line, p = append(w.line, part...), p[len(part):]
		if end == 0 && len(w.line) < prefixLimit {
			break
		}
		if err := w.flush(); err != nil {
			return 0, err
		}
	}
	return written, nil
}

// flush writes the line that has no end.
func (w *prefixWriter) flush() error {
	if len(w.line) == 0 {
		return nil
	}
	if w.line[len(w.line)-1] != '\n' {
		w.line = append(w.line, '\n')
	}
	text := append([]byte(w.prefix), w.line...)
	w.line = w.line[:0]
	return w.shown.write(w.peer, w.to, text)
}
