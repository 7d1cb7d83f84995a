// Package shell is the command line inside a running peer: a prompt with
// completion and history that sends what is typed to the peer and shows what
// happens around it meanwhile, without tearing the line being typed.
//
// It serves both doors alike: attached to a peer in another process through
// its control socket (Attach), and in the peer's own process (Local).
package shell

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/abiosoft/readline"
)

// ErrGone is wrapped by the error of a shell whose peer ended or cannot be
// reached any more.
var ErrGone = errors.New("is gone")

// Options says what a shell talks to and where. Only Peer is required.
type Options struct {
	// Peer is the peer whose shell this is.
	Peer Peer
	// Greeting is the first line on a terminal; empty: none.
	Greeting string
	// In and Out are the terminal; nil means standard input and output. If
	// either is no terminal, lines are read plainly and without a prompt, and
	// the first that fails ends the shell with its error.
	In, Out *os.File
	// Err gets remarks when there is no terminal; nil means standard error.
	Err io.Writer
	// HistoryFile keeps what was typed, across sessions; empty: only in memory.
	// That it cannot be read or written is no error.
	HistoryFile string
	// Redact returns a line as the history may keep it, without its secrets:
	// command.Registry has such a method. Nil keeps lines as they are.
	Redact func(line string) string
	// OnExit, if set, is called when the user leaves: by exit, by Ctrl-D, or at
	// the end of input that is no terminal. It is not called when the peer or
	// ctx ends the shell.
	OnExit func()

	patience time.Duration // what a command may be silent before its peer is asked for a sign of life; 0 means defaultPatience
}

// A command that is silent for defaultPatience has its peer asked whether it
// lives; another answerTime without an answer, and the user is told.
const (
	defaultPatience = time.Second
	answerTime      = 2 * defaultPatience
)

// Run runs a shell until the user leaves or the command quit ends the peer (nil),
// ctx ends (its cause), or the peer is gone for another reason (ErrGone). How the
// peer ended has been shown on the terminal already. It
// puts the terminal back as it was, and leaves no goroutine that reads it.
func Run(ctx context.Context, opts Options) error {
	if opts.In == nil {
		opts.In = os.Stdin
	}
	if opts.Out == nil {
		opts.Out = os.Stdout
	}
	if opts.Err == nil {
		opts.Err = os.Stderr
	}
	if opts.patience == 0 {
		opts.patience = defaultPatience
	}
	run := runPlain
	if readline.IsTerminal(int(opts.In.Fd())) && readline.IsTerminal(int(opts.Out.Fd())) {
		run = runTerminal
	}
	err := run(ctx, opts)
	if err == nil && opts.OnExit != nil {
		opts.OnExit()
	}
	return err
}
