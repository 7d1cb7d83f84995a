//go:build !unix

package shell

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
)

// source reads a file until it is stopped. A Read under way when it is stopped
// takes one more line or key from the file: nothing can wait for both here.
type source struct {
	file  *os.File
	ended atomic.Bool
	stop  func() // makes Read return io.EOF; may be called more than once, at any time
}

func newSource(file *os.File) (*source, error) {
	s := &source{file: file}
	s.stop = sync.OnceFunc(func() { s.ended.Store(true) })
	return s, nil
}

// Read reads what is there, waiting for some.
func (s *source) Read(p []byte) (int, error) {
	if s.ended.Load() {
		return 0, io.EOF
	}
	n, err := s.file.Read(p)
	switch {
	case s.ended.Load():
		return 0, io.EOF
	case err != nil && err != io.EOF:
		return n, fmt.Errorf("read %s: %w", s.file.Name(), err)
	}
	return n, err
}

// release frees what the source holds, when no Read runs any more.
func (s *source) release() { s.stop() }
