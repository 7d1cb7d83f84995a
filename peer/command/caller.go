package command

import (
	"context"

	"peerlab/event"
)

// Caller is who runs a line, as far as what the line writes depends on it. The
// zero Caller is a program.
type Caller struct {
	// Colour says that the output goes to a terminal that takes colours.
	Colour bool
	// Columns is the width of that terminal; 0: there is none, or it is not known.
	Columns int
	// Shell names the shell in which a person typed the line; empty: nobody typed it.
	Shell string
}

type callerKey struct{}

// WithCaller returns a context under which lines are run for a caller. What they
// do is reported as typed in its shell.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return event.WithShell(context.WithValue(ctx, callerKey{}, c), c.Shell)
}

// CallerOf returns the caller of [WithCaller], or the zero Caller.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
