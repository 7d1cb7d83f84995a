package shell

import (
	"io"
	"strings"
	"sync"

	"peerlab/terminal"
)

// Log is a writer for the log of a peer whose shell runs in the same process
// (Options.Log): while a shell is on the terminal, what is written appears as
// lines above the one being typed, otherwise it goes where it would go without.
// It may be written to concurrently, whole lines at a time.
type Log struct {
	otherwise io.Writer

	mu   sync.Mutex
	show func(line string) // nil: no shell
}

// NewLog returns a Log that writes to w while no shell is on the terminal.
func NewLog(w io.Writer) *Log { return &Log{otherwise: w} }

// Write shows or writes p.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.show == nil {
		return l.otherwise.Write(p)
	}
	for line := range strings.Lines(string(p)) {
		l.show(terminal.Line(strings.TrimSuffix(line, "\n")))
	}
	return len(p), nil
}

// divert sends lines to show from now on, nil for none. A nil Log does nothing.
func (l *Log) divert(show func(line string)) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.show = show
}
