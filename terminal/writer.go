package terminal

import (
	"io"
	"os"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"
)

// Writer cleans what is written through it, as [CleanPainted] does: the colours
// of [Colour.Paint] stay, and nothing else that a terminal would act on. A
// character or colour of which a part has come waits for the rest, or Flush. Its
// methods may be called concurrently.
type Writer struct {
	mu   sync.Mutex
	w    io.Writer
	rest []byte // the beginning of a character or a colour
}

// NewWriter returns a Writer that writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := append(w.rest, p...)
	n := len(b)
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if last := b[len(b)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				n = len(b) - i
			}
			break
		}
	}
	n -= Unfinished(b[:n])
	w.rest = append([]byte(nil), b[n:]...)
	if n > 0 {
		if _, err := io.WriteString(w.w, CleanPainted(string(b[:n]))); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// Flush writes what is left of a character or colour that did not end.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	if len(w.rest) > 0 {
		_, err = io.WriteString(w.w, Clean(string(w.rest)))
	}
	w.rest = nil
	return err
}

// Guard returns the writer through which a program is to write all its output
// to w, and what is to be called at its end: a [Writer] if w is a terminal, and
// w itself if it is a file or a pipe, where a program may want every byte.
func Guard(w io.Writer) (guarded io.Writer, flush func() error) {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		writer := NewWriter(w)
		return writer, writer.Flush
	}
	return w, func() error { return nil }
}

// Raw returns the writer that Guard was given, for what is to reach the terminal
// as it is because the user asked for that.
func Raw(w io.Writer) io.Writer {
	if guarded, ok := w.(*Writer); ok {
		return guarded.w
	}
	return w
}

// Size returns the columns and rows of the terminal that w is, 0 and 0 if it is
// none. One that does not tell has 80 and 24.
func Size(w io.Writer) (columns, rows int) {
	f, ok := Raw(w).(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, 0
	}
	columns, rows, err := term.GetSize(int(f.Fd()))
	if err != nil || columns < 1 || rows < 1 {
		return 80, 24
	}
	return columns, rows
}
