package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
)

// inEach does something with each of the peers, with several at the same time.
// What is written of several gets the name of the peer in front of each line.
// The errors are joined, in the order of the names.
func inEach(names []string, out, errs io.Writer, do func(name string, out, errs io.Writer) error) error {
	if len(names) == 1 {
		return do(names[0], out, errs)
	}
	var writing sync.Mutex
	var all sync.WaitGroup
	failed := make([]error, len(names))
	for i, name := range names {
		all.Go(func() {
			prefix := linePrefix(names, name)
			o, e := &prefixWriter{to: out, prefix: prefix, mu: &writing}, &prefixWriter{to: errs, prefix: prefix, mu: &writing}
			failed[i] = errors.Join(do(name, o, e), o.flush(), e.flush())
		})
	}
	all.Wait()
	return errors.Join(failed...)
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

// prefixWriter writes whole lines, each behind a prefix. Those who share a mutex
// may write at the same time.
type prefixWriter struct {
	to     io.Writer
	prefix string
	mu     *sync.Mutex
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
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.to.Write(append([]byte(w.prefix), w.line...))
	w.line = w.line[:0]
	return err
}
