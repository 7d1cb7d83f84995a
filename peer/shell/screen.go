package shell

import (
	"io"
	"sync"
	"unicode/utf8"

	"peerlab/terminal"
)

// screen is the terminal as readline writes to it.
type screen struct {
	mu    sync.Mutex
	w     io.Writer
	muted bool
	ended bool
}

// Write writes what readline draws, unless it is muted.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.muted || s.ended {
		return len(p), nil
	}
	return s.w.Write(p)
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

// output cleans a command's output on its way to the terminal. It is not for
// concurrent use.
type output struct {
	show func(text string) error // gets text that is safe on a terminal
	rest []byte                  // the begin of a character or a colour
}

func (o *output) Write(p []byte) (int, error) {
	b := append(o.rest, p...)
	n := len(b)
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if last := b[len(b)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				n = len(b) - i
			}
			break
		}
	}
	n -= terminal.Unfinished(b[:n])
	o.rest = append([]byte(nil), b[n:]...)
	if n > 0 {
		if err := o.show(terminal.CleanPainted(string(b[:n]))); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// end shows what is left of a character or colour that did not end.
func (o *output) end() {
	if len(o.rest) > 0 {
		_ = o.show(terminal.Clean(string(o.rest)))
	}
	o.rest = nil
}
