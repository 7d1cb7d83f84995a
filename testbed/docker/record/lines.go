package record

import (
	"bytes"
	"cmp"

	"peerlab/event"
)

// lineWriter calls line with each complete line, which is not kept, and long
// once for each line of more than limit bytes, which it drops. It takes
// no more memory than that, and time in proportion to what is written. What
// Docker stamps it hands over line by line, so that there a line that a SIGKILL
// has cut ends, too.
type lineWriter struct {
	line     func([]byte)
	long     func() // nil is nobody
	limit    int    // 0 is event.MaxLine
	stamped  bool
	rest     []byte // the beginning of a line
	dropping bool   // until the end of the line
}

// Write implements io.Writer.
func (w *lineWriter) Write(b []byte) (int, error) {
	n, limit := len(b), cmp.Or(w.limit, event.MaxLine)
	w.end()
	for {
		part, after, found := bytes.Cut(b, []byte("\n"))
		switch {
		case w.dropping:
		case len(w.rest)+len(part) > limit:
			w.rest, w.dropping = nil, true
			if w.long != nil {
				w.long()
			}
		case found && len(w.rest) == 0:
			w.line(part)
		default:
			w.rest = append(w.rest, part...)
			if found {
				w.line(w.rest)
			}
		}
		if !found {
			return n, nil
		}
		w.rest, w.dropping, b = w.rest[:0], false, after
	}
}

// end ends a line that was cut, if it can be told from one that is to go on.
func (w *lineWriter) end() {
	if w.stamped && (len(w.rest) > 0 || w.dropping) {
		if !w.dropping {
			w.line(w.rest)
		}
		w.rest, w.dropping = nil, false
	}
}
