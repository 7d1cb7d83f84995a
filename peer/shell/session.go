package shell

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/abiosoft/readline"

	"peerlab/event"
	"peerlab/internal/terminal"
	"peerlab/peer/command"
)

// session is one shell on a terminal.
type session struct {
	*editor
	peer     Peer
	id       string // names this shell in the peer's events
	name     string // the peer's, safe on a terminal
	patience time.Duration
	end      context.CancelCauseFunc // ends the session
	left     bool                    // the user has left
	color    bool                    // the terminal takes colors
	columns  func() int              // the terminal's width
}

// errQuit ends the session of a peer that the command quit ends.
var errQuit = errors.New("has left all layers and ends, as quit asked")

func runTerminal(parent context.Context, opts Options) error {
	ctx, end := context.WithCancelCause(parent)
	defer end(nil)
	s := &session{
		peer: opts.Peer, id: rand.Text()[:8], name: terminal.Line(opts.Peer.Name()), patience: opts.patience, end: end,
		color: terminal.TakesColor(opts.Out), columns: func() int { return width(opts.Out, 0) },
	}
	var err error
	s.editor, err = newEditor(opts, s.name+"> ", func(e *editor) readline.AutoCompleter {
		return &completer{ctx: ctx, peer: s.peer, local: localNames(), width: s.columns, above: e.above, repeated: e.tabRepeated}
	})
	if err != nil {
		return err
	}
	s.addLocal()
	if opts.Greeting != "" {
		s.print(terminal.Line(opts.Greeting) + "\n")
	}
	var following sync.WaitGroup
	following.Go(func() { s.follow(ctx) })
	stop := context.AfterFunc(ctx, s.in.HangUp)
	s.loop(ctx)
	err = context.Cause(ctx) // nil: the user has left, or the terminal
	stop()
	end(nil)
	following.Wait()

	s.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
	switch {
	case errors.Is(err, errQuit):
		s.write(err.Error() + "\n")
		return nil
	case errors.Is(err, ErrGone):
		s.write(err.Error() + "\n")
	}
	return err
}

// loop reads and runs lines until the user leaves or ctx ends.
func (s *session) loop(ctx context.Context) {
	for !s.left {
		line, err := s.readLine()
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, readline.ErrInterrupt):
			if line == "" {
				s.print(s.howToLeave() + "\n")
			}
			continue
		case err != nil: // io.EOF; readline has no other
			return
		}
		s.remember(line)
		s.dispatch(ctx, line)
		if ctx.Err() != nil {
			return
		}
	}
}

func (s *session) howToLeave() string {
	if _, ok := s.peer.(*local); ok {
		return "Ctrl-D or exit leaves the shell and stops the peer"
	}
	return "Ctrl-D or exit leaves the shell; the peer keeps running"
}

// dispatch runs a line, here or in the peer, and shows its error.
func (s *session) dispatch(ctx context.Context, line string) {
	if strings.TrimSpace(line) == "" {
		return
	}
	// What cannot be split may be a text: the peer says so if it is none.
	words, err := command.Split(line)
	isCommand := func() bool { return strings.HasPrefix(strings.TrimSpace(line), "/") || !s.peer.SaysText(ctx) }
	if err == nil && isLocal(words) && isCommand() {
		err = s.sh.Process(words...)
	} else {
		err = s.exec(ctx, line)
	}
	if err == nil && len(words) == 1 && words[0] == "help" && isCommand() {
		s.print(localHelp(s.columns()))
	}
	if errors.Is(err, ErrGone) {
		s.end(err)
	} else if err != nil {
		for line := range strings.SplitSeq("error: "+terminal.Clean(err.Error()), "\n") {
			s.print(strings.Join(terminal.Wrap(line, s.columns()), "\n") + "\n")
		}
	}
}

// exec runs a line in the peer. Ctrl-C ends it, which is no error.
func (s *session) exec(ctx context.Context, line string) error {
	ctx = command.WithCaller(ctx, command.Caller{Color: s.color, Columns: s.columns(), Shell: s.id})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.in.OnInterrupt(func() {
		if ctx.Err() == nil {
			s.notice("^C")
		}
		cancel()
	})
	defer s.in.OnInterrupt(nil)

	err := supervise(ctx, s.peer, line, s.patience, func(text string) error {
		s.print(text)
		return nil
	}, s.notice)
	if ctx.Err() != nil && !errors.Is(err, ErrGone) {
		return nil
	}
	return err
}

// follow shows what happens at the peer, and ends the session with it.
func (s *session) follow(ctx context.Context) {
	last := uint64(0)
	err := s.peer.Follow(ctx, func(e event.Event) {
		if last > 0 && e.Seq > last+1 {
			s.notice(fmt.Sprintf("* %d events were missed", e.Seq-last-1))
		}
		last = e.Seq
		if e.Kind == event.PeerStopping {
			s.end(s.stopping(e.Reason))
			return
		}
		if line := noticeOf(s.peer.Name(), s.id, s.columns(), e); line != "" {
			s.notice(line)
		}
	})
	if ctx.Err() == nil && err != nil {
		s.end(err)
	}
}

// stopping is the error with which the session ends when the peer says that it
// stops, and why.
func (s *session) stopping(reason string) error {
	switch reason {
	case "quit":
		return fmt.Errorf("peer %s %w", s.name, errQuit)
	case "exit":
		reason = "abort ended it without leaving"
	}
	return fmt.Errorf("%w: %s", gone(s.name), terminal.Line(reason))
}
