package shell

import (
	"io"
	"sync"
)

// screen is the terminal as readline writes to it.
type screen struct {
	mu    sync.Mutex
	w     io.Writer
	muted bool
	ended bool

	cursor cursor
}

// Write writes what readline draws, unless it is muted.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	drawn := s.cursor.place(p)
	if s.muted || s.ended {
		return len(p), nil
	}
	if _, err := s.w.Write(drawn); err != nil {
		return 0, err
	}
	return len(p), nil
}

// mute drops what readline draws from now on, or no longer does.
func (s *screen) mute(muted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.muted = muted
}

// end drops whatever readline draws from now on: when it is closed it wipes a
// line, whoever's it is by then.
func (s *screen) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// writerFunc is a writer that hands what is written to a function.
type writerFunc func(text string) error

func (f writerFunc) Write(p []byte) (int, error) {
	if err := f(string(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}
