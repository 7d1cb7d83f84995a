// Package logging is a peer's log for people: slog text with a level per
// layer, written to one writer and, when asked while the peer runs, to a file
// and to those who follow it.
package logging

import (
	"io"
	"log/slog"
	"strings"
	"sync"

	"peerlab/peer/files"
)

const (
	kept    = 1000    // lines Recent can return
	maxKept = 4 << 10 // bytes of a line in memory; the writer and the file get all of it
)

// Log takes the records of its Logger and hands each on as one line. It
// has nothing to close but the file, with Off. All methods may be called
// concurrently.
type Log struct {
	text   slog.Handler // formats a line, see format
	levels levels

	mu        sync.Mutex
	w         io.Writer
	file      files.File // nil: none
	recent    []string   // a ring once it is full
	oldest    int        // in recent
	followers map[*follower]struct{}
}

// New returns a log that writes to w what is at level or above, in every
// layer. Each line is one Write, never two at a time: while w blocks, so does
// the log, and w must not use it. What w cannot write is lost to w alone.
func New(w io.Writer, level slog.Level) *Log {
	l := &Log{
		text:      slog.NewTextHandler(catcher{}, nil),
		w:         w,
		followers: map[*follower]struct{}{},
	}
	l.levels.set("", level)
	return l
}

// Logger returns a logger whose records go to the log. Its descendants by
// With("layer", NAME) log as that layer; the attribute counts where no group
// is open, and the latest counts.
func (l *Log) Logger() *slog.Logger {
	return slog.New(&handler{log: l, text: l.text, level: l.levels.of("")})
}

// Recent returns the latest n lines without their newlines, oldest first, or
// as many as are kept (1000). Lines over 4 KiB are cut.
func (l *Log) Recent(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = max(0, min(n, len(l.recent)))
	lines := make([]string, n)
	for i := range lines {
		lines[i] = l.recent[(l.oldest+len(l.recent)-n+i)%len(l.recent)]
	}
	return lines
}

// write hands on a line, newline included, and returns w's error.
func (l *Log) write(layer string, level slog.Level, line string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.show(layer, level, line)
	if l.file == nil {
		return err
	}
	if _, failed := io.WriteString(l.file, line); failed != nil {
		l.dropFile(failed)
	}
	return err
}

// show hands a line to all but the file. The caller holds mu.
func (l *Log) show(layer string, level slog.Level, line string) error {
	_, err := io.WriteString(l.w, line)
	line = strings.TrimSuffix(line, "\n")
	if len(line) > maxKept {
		line = strings.ToValidUTF8(line[:maxKept], "") + "…"
	}
	if len(l.recent) < kept {
		l.recent = append(l.recent, line)
	} else {
		l.recent[l.oldest] = line
		l.oldest = (l.oldest + 1) % kept
	}
	for f := range l.followers {
		f.offer(layer, level, line)
	}
	return err
}
