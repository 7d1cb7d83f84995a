package control

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"peerlab/internal/terminal"
)

const (
	// gather is how long output waits for more of it. A table is written cell by
	// cell; one frame each would be mostly braces.
	gather = 5 * time.Millisecond
	// maxFrame is the most output in one frame, in bytes.
	maxFrame = 32 << 10
	// maxFrameLine is the longest line a client accepts: every byte of a frame escaped.
	maxFrameLine = 8 * maxFrame
)

// frame is one line of exec's answer.
type frame struct {
	Out   string `json:"out,omitempty"`
	Done  bool   `json:"done,omitempty"`
	Error string `json:"error,omitempty"`
}

var errEnded = errors.New("the command has ended")

// frameWriter sends a command's output as frames. Write may be called
// concurrently, and is refused after end: a command that leaves a goroutine
// behind must not write into the next answer on the connection.
type frameWriter struct {
	w       io.Writer
	rc      *http.ResponseController
	timeout time.Duration      // for each write to the client
	cancel  context.CancelFunc // called when the client cannot be written to

	mu    sync.Mutex
	buf   []byte
	timer *time.Timer // sends buf when nothing else has
	armed bool        // the timer will fire
	err   error
}

func newFrameWriter(w http.ResponseWriter, timeout time.Duration, cancel context.CancelFunc) *frameWriter {
	f := &frameWriter{w: w, rc: http.NewResponseController(w), timeout: timeout, cancel: cancel}
	f.timer = time.AfterFunc(time.Hour, f.tick)
	f.timer.Stop()
	return f
}

// begin sends the header, so that the client knows it has been heard.
func (f *frameWriter) begin() { _ = f.rc.Flush() }

func (f *frameWriter) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for rest := p; len(rest) > 0 && f.err == nil; {
		n := min(len(rest), maxFrame-len(f.buf))
		f.buf = append(f.buf, rest[:n]...)
		rest = rest[n:]
		if len(f.buf) == maxFrame {
			f.send(whole(f.buf))
		}
	}
	if f.err != nil {
		return 0, f.err
	}
	if len(f.buf) > 0 && !f.armed {
		f.armed = true
		f.timer.Reset(gather)
	}
	return len(p), nil
}

func (f *frameWriter) tick() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = false
	if n := whole(f.buf); n > 0 && f.err == nil {
		f.send(n)
	}
}

// end sends what is left and the last frame.
func (f *frameWriter) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.timer.Stop()
	if len(f.buf) > 0 && f.err == nil {
		f.send(len(f.buf))
	}
	last := frame{Done: true}
	if err != nil {
		last.Error = cmp.Or(oneLine(err.Error()), "failed")
	}
	if f.err == nil {
		f.put(last)
	}
	f.err = errEnded
}

// send sends the first n bytes of buf, and keeps the rest.
func (f *frameWriter) send(n int) {
	f.put(frame{Out: string(f.buf[:n])})
	f.buf = append(f.buf[:0], f.buf[n:]...)
}

func (f *frameWriter) put(fr frame) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(fr)
	if err == nil {
		_ = f.rc.SetWriteDeadline(time.Now().Add(f.timeout))
		_, err = f.w.Write(terminal.EscapeJSON(b.Bytes()))
	}
	if err == nil {
		err = f.rc.Flush()
	}
	if err != nil {
		f.err = fmt.Errorf("write to the client: %w", err)
		f.cancel()
	}
}

// whole returns how much of b does not end inside a UTF-8 character.
func whole(b []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if last := b[len(b)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return len(b) - i
			}
			break
		}
	}
	return len(b)
}

// errCut says that an answer ended before its last frame.
var errCut = errors.New("the answer ended early")

// readFrames writes the output in r to out until the last frame, whose error
// it returns as a *CommandError.
func readFrames(r io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxFrameLine)
	for lines.Scan() {
		var f frame
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			return fmt.Errorf("the peer's answer is not as expected: %w", err)
		}
		if f.Out != "" {
			if _, err := io.WriteString(out, f.Out); err != nil {
				return fmt.Errorf("write output: %w", err)
			}
		}
		if f.Done && f.Error != "" {
			return &CommandError{Message: oneLine(f.Error)}
		}
		if f.Done {
			return nil
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("the peer's answer has a line of more than %d bytes", maxFrameLine)
	}
	return errCut
}
