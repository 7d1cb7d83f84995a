package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"peerlab/terminal"
	"peerlab/terminal/layout"
)

// live is progress on standard error. In a terminal it ends with lines that are
// drawn anew as they change; elsewhere there are none of these, and what happens
// is told line by line. Its methods may be called concurrently.
type live struct {
	out           io.Writer
	width, height int // 0 where nothing is redrawn

	mu     sync.Mutex
	lines  []string // to be drawn
	drawn  int      // lines on the screen
	dirty  bool     // they are not what is to be drawn
	closed bool

	stop chan struct{}
	done chan struct{}
}

// redrawEvery is how often lines are drawn anew at most: more cannot be read, and
// a simulation changes them thousands of times a second.
const redrawEvery = 100 * time.Millisecond

// newLive begins. End it with close.
func newLive(out io.Writer) *live {
	l := &live{out: out, stop: make(chan struct{}), done: make(chan struct{})}
	l.width, l.height = layout.Size(out)
	if !l.redraws() {
		close(l.done)
		return l
	}
	go func() {
		defer close(l.done)
		tick := time.NewTicker(redrawEvery)
		defer tick.Stop()
		for {
			select {
			case <-l.stop:
				return
			case <-tick.C:
				l.mu.Lock()
				if l.dirty {
					l.erase()
					l.draw()
				}
				l.mu.Unlock()
			}
		}
	}()
	return l
}

// redraws reports whether set shows anything.
func (l *live) redraws() bool { return l.width > 0 }

// set says what the lines at the end are now. They must be safe for a terminal.
func (l *live) set(lines ...string) {
	if !l.redraws() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines, l.dirty = lines, true
}

// say writes lines that stay, above those that are drawn anew. They must be safe
// for a terminal.
func (l *live) say(lines ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.erase()
	for _, line := range lines {
		fmt.Fprintln(l.out, layout.Wrap(line, l.width, indentOf(line)))
	}
	l.draw()
}

// indentOf is where the text of a line begins: what is too long goes on there.
func indentOf(line string) int {
	text := strings.TrimLeft(line, " ")
	indent := len(line) - len(text)
	if head, _, two := strings.Cut(text, "  "); two { // columns, of which the last one wraps
		rest := strings.TrimLeft(text[len(head):], " ")
		indent += len([]rune(head)) + len(text) - len(head) - len(rest)
	}
	return indent
}

// close removes the lines that are drawn anew.
func (l *live) close() {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.erase()
	l.lines = nil
	l.mu.Unlock()
	if !closed {
		close(l.stop)
	}
	<-l.done
}

// erase takes the lines from the screen that were drawn last. The cursor may be
// behind a ^C that the terminal has shown.
func (l *live) erase() {
	if l.drawn > 0 {
		fmt.Fprintf(terminal.Raw(l.out), "\r\x1b[%dA\x1b[J", l.drawn)
	}
	l.drawn = 0
}

// draw puts the lines on the screen.
func (l *live) draw() {
	l.dirty = false
	if l.closed {
		return
	}
	for _, line := range l.lines[:min(len(l.lines), max(0, l.height-1))] {
		fmt.Fprintln(l.out, layout.Snip(line, l.width-1))
		l.drawn++
	}
}
