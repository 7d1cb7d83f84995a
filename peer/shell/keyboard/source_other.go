//go:build !unix

package keyboard

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
)

// Source reads a file until it is stopped. A Read under way when it is stopped
// takes one more line or key from the file: nothing can wait for both here.
type Source struct {
	file  *os.File
	ended atomic.Bool
	Stop  func() // makes Read return io.EOF; may be called more than once, at any time
}

// NewSource returns a source that reads file, and leaves it open.
func NewSource(file *os.File) (*Source, error) {
	s := &Source{file: file}
	s.Stop = sync.OnceFunc(func() { s.ended.Store(true) })
	return s, nil
}

// Read reads what is there, waiting for some.
func (s *Source) Read(p []byte) (int, error) {
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

// Release frees what the source holds, when no Read runs any more.
func (s *Source) Release() { s.Stop() }
