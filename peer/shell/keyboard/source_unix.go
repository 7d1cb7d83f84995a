//go:build unix

package keyboard

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Source reads a file until it is stopped. It polls: a plain read would go on
// after the shell and take the next key from whoever owns the terminal then.
type Source struct {
	file    *os.File
	stopped *os.File // readable once Stop has been called
	Stop    func()   // makes Read return io.EOF; may be called more than once, at any time
}

// NewSource returns a source that reads file, and leaves it open.
func NewSource(file *os.File) (*Source, error) {
	stopped, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file.Name(), err)
	}
	return &Source{file: file, stopped: stopped, Stop: sync.OnceFunc(func() { _ = w.Close() })}, nil
}

// Read reads what is there, waiting for some.
func (s *Source) Read(p []byte) (int, error) {
	fds := []unix.PollFd{
		{Fd: int32(s.file.Fd()), Events: unix.POLLIN},
		{Fd: int32(s.stopped.Fd()), Events: unix.POLLIN},
	}
	for {
		_, err := unix.Poll(fds, -1)
		if err == nil && fds[1].Revents != 0 {
			return 0, io.EOF
		}
		n := 0
		if err == nil {
			n, err = unix.Read(int(s.file.Fd()), p)
		}
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		case err != nil:
			return 0, fmt.Errorf("read %s: %w", s.file.Name(), err)
		case n <= 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Release frees what the source holds, when no Read runs any more.
func (s *Source) Release() {
	s.Stop()
	_ = s.stopped.Close()
}
