package shell

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/abiosoft/ishell/v2"
	"github.com/abiosoft/readline"

	"peerlab/internal/terminal"
	"peerlab/peer/shell/keyboard"
)

// Switching bracketed paste on makes the terminal mark what is pasted.
const (
	pasteMarksOn  = "\x1b[?2004h"
	pasteMarksOff = "\x1b[?2004l"
)

// editor is ishell and readline on a terminal, tamed.
//
// readline may be written to from one goroutine only while it reads a line:
// its own. So what arrives meanwhile is queued, and a character that cannot be
// typed wakes its goroutine, which shows it from within filter. When no line
// is read, print and the printer goroutine write to the terminal themselves.
type editor struct {
	in      *keyboard.Input
	screen  *screen
	rl      *readline.Instance
	sh      *ishell.Shell
	history *history
	notices notices
	restore func()

	signals chan os.Signal // SIGWINCH
	arrived chan struct{}  // there is a notice
	running sync.WaitGroup // the goroutines that read these two

	resized atomic.Bool
	resize  func()       // makes readline ask for the width
	typed   atomic.Int64 // characters in the line being typed
	delete  bool         // the next Ctrl-D is the Delete key; readline's goroutine only
	tabs    int          // how many TABs came one after the other; readline's goroutine only

	change sync.Mutex // of the line being typed
	line   []rune     // as it was told to onChange last
	pos    int        // of the cursor in line

	mu      sync.Mutex // held to write to the terminal other than through readline
	reading bool       // a line is being read
	midLine bool       // what was printed last did not end its line
}

// newEditor takes over the terminal until close.
func newEditor(opts Options, prompt string, complete func(*editor) readline.AutoCompleter) (*editor, error) {
	fd := int(opts.In.Fd())
	state, err := readline.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("set up terminal: %w", err)
	}
	restore := func() { _ = readline.Restore(fd, state) }
	in, err := keyboard.New(opts.In)
	if err != nil {
		restore()
		return nil, err
	}
	e := &editor{
		in: in, screen: &screen{w: opts.Out, cursor: cursor{prompt: prompt, width: func() int { return width(opts.Out, len([]rune(prompt))) }}}, history: openHistory(opts.HistoryFile, opts.Redact), restore: restore,
		signals: make(chan os.Signal, 1), arrived: make(chan struct{}, 1),
	}
	nothing := func() error { return nil } // the terminal stays raw between lines
	e.rl, err = readline.NewEx(&readline.Config{
		Prompt: prompt, EOFPrompt: "exit",
		Stdin: in, Stdout: e.screen, Stderr: e.screen,
		HistoryLimit: historyLines + 1, DisableAutoSaveHistory: true, HistorySearchFold: true,
		AutoComplete:        complete(e),
		FuncFilterInputRune: e.filter,
		Painter:             &e.screen.cursor,
		Listener:            readline.FuncListener(e.onChange),
		FuncGetWidth:        func() int { return width(opts.Out, len([]rune(prompt))) },
		FuncIsTerminal:      func() bool { return true },
		FuncMakeRaw:         nothing, FuncExitRaw: nothing,
		FuncOnWidthChanged: func(f func()) { e.resize = f },
	})
	if err != nil {
		_ = in.Close()
		restore()
		return nil, fmt.Errorf("set up line editor: %w", err)
	}
	e.sh = ishell.NewWithReadline(e.rl)
	e.loadHistory()
	_, _ = io.WriteString(opts.Out, pasteMarksOn)
	terminal.NotifyResize(e.signals)
	e.running.Go(e.watchSize)
	e.running.Go(e.printArrived)
	return e, nil
}

// close gives the terminal back. After it print may still be used.
func (e *editor) close() {
	signal.Stop(e.signals)
	close(e.signals)
	close(e.arrived)
	e.running.Wait()
	e.screen.end()
	_ = e.in.Close()
	_ = e.rl.Close()
	e.print(pasteMarksOff)
	e.restore()
}

// width returns the terminal's width for readline, which loops for ever if the
// prompt fills a line, and divides by zero if it is told that there are none.
func width(out *os.File, prompt int) int {
	columns, _, err := readline.GetSize(int(out.Fd()))
	if err != nil || columns <= 0 {
		columns = 80
	}
	return max(columns, prompt+8)
}

// readLine reads a line. It returns io.EOF on Ctrl-D or when the input has
// ended, and readline.ErrInterrupt with what was typed on Ctrl-C.
func (e *editor) readLine() (string, error) {
	e.mu.Lock()
	e.flush()
	if e.midLine {
		e.write("\n") // the prompt would wipe what stands before it
	}
	e.reading = true
	e.mu.Unlock()
	if e.resized.Swap(false) {
		e.resize()
	}

	line, err := e.sh.ReadLineErr()

	e.mu.Lock()
	e.reading, e.midLine = false, false
	e.mu.Unlock()
	if e.in.HungUp() {
		return "", io.EOF // readline takes the end of input for Enter
	}
	return line, err
}

// remember adds a line to the history.
func (e *editor) remember(line string) {
	if e.history.add(line) {
		e.loadHistory()
	}
}

// loadHistory gives readline the history anew, for readline edits old lines.
func (e *editor) loadHistory() {
	e.rl.ResetHistory()
	for _, line := range e.history.lines {
		_ = e.rl.SaveHistory(line)
	}
}

// print shows text while no line is read. It must be safe on a terminal.
func (e *editor) print(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.write(text)
}

// write is print with the lock held.
func (e *editor) write(text string) {
	if text == "" {
		return
	}
	_, _ = io.WriteString(e.screen.w, text)
	e.midLine = !strings.HasSuffix(text, "\n")
}

// notice shows a line that is safe on a terminal when and where it tears
// nothing. It never blocks.
func (e *editor) notice(line string) {
	e.notices.add(line)
	select {
	case e.arrived <- struct{}{}:
	default:
	}
}

// flush shows the notices, with the lock held and no line being read.
func (e *editor) flush() {
	text := e.notices.take()
	if text == "" {
		return
	}
	if e.midLine {
		text = "\n" + text
	}
	e.write(text)
}

// printArrived shows notices as they arrive.
func (e *editor) printArrived() {
	for range e.arrived {
		e.mu.Lock()
		if e.reading {
			e.in.Wake()
		} else {
			e.flush()
		}
		e.mu.Unlock()
	}
}

// watchSize tells of every new size of the window.
func (e *editor) watchSize() {
	for range e.signals {
		e.resized.Store(true)
		e.in.Wake()
	}
}
