package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"peerlab/terminal"
	"peerlab/terminal/layout"
)

// live is progress on standard error. In a terminal it ends with lines that are
// drawn anew as they change; elsewhere there are none of these, and what happens
// is told line by line. Its methods may be called concurrently.
type live struct {
	out     io.Writer
	redraws bool // it is a terminal

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
	if l.redraws = layout.Width(out) > 0; !l.redraws {
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

// set says what the lines at the end are now. They must be safe for a terminal, and
// nothing else shows them.
func (l *live) set(lines ...string) {
	if !l.redraws {
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
	printWrapped(l.out, lines...)
	l.draw()
}

// printWrapped writes lines that may be coloured, within the width of a terminal.
func printWrapped(out io.Writer, lines ...string) {
	width := layout.Width(out)
	for _, line := range lines {
		fmt.Fprintln(out, layout.Wrap(line, width, indentOf(line)))
	}
}

// indentOf is the column where the text of a line begins, which may be coloured: what
// is too long goes on there.
func indentOf(line string) int {
	rest := strings.TrimLeft(line, " ")
	if _, last, two := strings.Cut(rest, "  "); two { // columns, of which the last one wraps
		rest = strings.TrimLeft(last, " ")
	}
	return text.StringWidthWithoutEscSequences(strings.TrimSuffix(line, rest))
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
	width, height := terminal.Size(l.out)
	for _, line := range l.lines[:min(len(l.lines), max(0, height-1))] {
		fmt.Fprintln(l.out, layout.Snip(line, width-1))
		l.drawn++
	}
}
