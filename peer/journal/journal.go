// Package journal is a peer's log for people: slog text with a level per
// layer, written to one writer and, when asked while the peer runs, to a file
// and to those who follow it.
package journal

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

// Journal takes the records of its Logger and hands each on as one line. It
// has nothing to close but the file, with Off. All methods may be called
// concurrently.
type Journal struct {
	text   slog.Handler // formats a line, see format
	levels levels

	mu        sync.Mutex
	w         io.Writer
	file      files.File // nil: none
	recent    []string   // a ring once it is full
	oldest    int        // in recent
	followers map[*follower]struct{}
}

// New returns a journal that writes to w what is at level or above, in every
// layer. Each line is one Write, never two at a time: while w blocks, so does
// the journal, and w must not use it. What w cannot write is lost to w alone.
func New(w io.Writer, level slog.Level) *Journal {
	j := &Journal{
		text:      slog.NewTextHandler(catcher{}, nil),
		w:         w,
		followers: map[*follower]struct{}{},
	}
	j.levels.set("", level)
	return j
}

// Logger returns a logger whose records go to the journal. Its descendants by
// With("layer", NAME) log as that layer; the attribute counts where no group
// is open, and the latest counts.
func (j *Journal) Logger() *slog.Logger {
	return slog.New(&handler{journal: j, text: j.text, level: j.levels.of("")})
}

// Recent returns the latest n lines without their newlines, oldest first, or
// as many as are kept (1000). Lines over 4 KiB are cut.
func (j *Journal) Recent(n int) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	n = max(0, min(n, len(j.recent)))
	lines := make([]string, n)
	for i := range lines {
		lines[i] = j.recent[(j.oldest+len(j.recent)-n+i)%len(j.recent)]
	}
	return lines
}

// write hands on a line, newline included, and returns w's error.
func (j *Journal) write(layer string, level slog.Level, line string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.show(layer, level, line)
	if j.file == nil {
		return err
	}
	if _, failed := io.WriteString(j.file, line); failed != nil {
		j.dropFile(failed)
	}
	return err
}

// show hands a line to all but the file. The caller holds mu.
func (j *Journal) show(layer string, level slog.Level, line string) error {
	_, err := io.WriteString(j.w, line)
	line = strings.TrimSuffix(line, "\n")
	if len(line) > maxKept {
		line = strings.ToValidUTF8(line[:maxKept], "") + "…"
	}
	if len(j.recent) < kept {
		j.recent = append(j.recent, line)
	} else {
		j.recent[j.oldest] = line
		j.oldest = (j.oldest + 1) % kept
	}
	for f := range j.followers {
		f.offer(layer, level, line)
	}
	return err
}
