package shell

import (
	"bufio"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"peerlab/internal/atomicfile"
	"peerlab/internal/terminal"
)

const (
	historyLines = 500     // kept of what was typed
	historyLine  = 4 << 10 // longest line kept, in bytes
	historyFile  = 1 << 20 // read of the end of the file, in bytes
)

// history is what was typed, oldest first, in memory and in a file. That the
// file cannot be read or written is no error: the shell works without.
//
// It is not readline's own, which keeps a file others can read, loses lines
// found with Ctrl-R, and lets the text of old lines be edited.
type history struct {
	path   string // "" for none
	redact func(line string) string
	lines  []string
}

// openHistory reads the history kept at path. Each line is kept as redact
// returns it; nil returns it as it is.
func openHistory(path string, redact func(line string) string) *history {
	if redact == nil {
		redact = func(line string) string { return line }
	}
	h := &history{path: path, redact: redact}
	if path == "" {
		return h
	}
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		h.path = "" // a FIFO would block, a device must not be written to
		return h
	}
	f, err := os.Open(path)
	if err != nil {
		return h
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() > historyFile {
		_, _ = f.Seek(-historyFile, io.SeekEnd)
	}
	total, secrets := 0, false
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, historyFile)
	for ; lines.Scan(); total++ {
		secrets = secrets || h.redact(lines.Text()) != lines.Text()
		h.remember(lines.Text())
	}
	if total > 2*historyLines || secrets {
		h.rewrite()
	}
	return h
}

// remember keeps line in memory if it is worth it.
func (h *history) remember(line string) bool {
	line = strings.TrimSpace(h.redact(strings.TrimSpace(line)))
	switch {
	case line == "", len(line) > historyLine, !utf8.ValidString(line), terminal.Line(line) != line:
		return false
	case len(h.lines) > 0 && h.lines[len(h.lines)-1] == line:
		return false
	}
	h.lines = append(h.lines, line)
	if len(h.lines) > historyLines {
		h.lines = h.lines[len(h.lines)-historyLines:]
	}
	return true
}

// add keeps line in memory and in the file, to which other shells may append
// at the same time. It reports whether the history changed.
func (h *history) add(line string) bool {
	if !h.remember(line) {
		return false
	}
	if h.path == "" {
		return true
	}
	f, err := os.OpenFile(h.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return true
	}
	defer f.Close()
	_, _ = f.WriteString(h.lines[len(h.lines)-1] + "\n")
	return true
}

// rewrite replaces the file with the lines in memory, all or nothing.
func (h *history) rewrite() {
	_ = atomicfile.Write(h.path, atomicfile.Private, atomicfile.Bytes([]byte(strings.Join(h.lines, "\n")+"\n")))
}
