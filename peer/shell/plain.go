package shell

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"peerlab/peer/command"
	"peerlab/peer/shell/keyboard"
)

// runPlain reads lines where there is no terminal, and stops at the first that
// fails.
func runPlain(ctx context.Context, opts Options) error {
	src, err := keyboard.NewSource(opts.In)
	if err != nil {
		return err
	}
	defer src.Release()
	defer context.AfterFunc(ctx, src.Stop)()

	lines := bufio.NewScanner(src)
	lines.Buffer(nil, command.MaxLine+2)
	for n := 1; lines.Scan() && ctx.Err() == nil; n++ {
		left, err := plainLine(ctx, opts, lines.Text())
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, ErrGone):
			_, _ = fmt.Fprintln(opts.Err, err)
			return err
		case err != nil:
			return fmt.Errorf("line %d: %w", n, err)
		case left:
			return nil
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("a line is too long: the limit is %d bytes", command.MaxLine)
	}
	return lines.Err()
}

// plainLine runs one line, and reports whether it was exit.
func plainLine(ctx context.Context, opts Options, line string) (left bool, err error) {
	// What cannot be split may be a text: the peer says so if it is none.
	words, err := command.Split(line)
	switch {
	case err != nil:
	case len(words) == 0:
		return false, nil
	case words[0] == "exit" && len(words) == 1:
		return true, nil
	case isLocal(words[:1]):
		return false, fmt.Errorf("%s works only at a terminal", words[0])
	}
	show := func(text string) error {
		_, err := io.WriteString(opts.Out, text)
		return err
	}
	remark := func(text string) { _, _ = fmt.Fprintln(opts.Err, text) }
	return false, supervise(ctx, opts.Peer, line, opts.patience, show, remark)
}
