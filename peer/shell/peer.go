package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"peerlab/event"
	"peerlab/peer/command"
	"peerlab/peer/control"
	"peerlab/terminal"
)

// Peer is what a shell needs of the peer it talks to. Its methods may be
// called concurrently.
type Peer interface {
	// Name returns the peer's name.
	Name() string
	// Exec runs a line, copies its output to out as it comes, and returns the
	// command's error, or one that wraps ErrGone. It ends early with ctx.
	Exec(ctx context.Context, line string, out io.Writer) error
	// Complete returns what the last, possibly empty, word of line could become.
	Complete(ctx context.Context, line string) []string
	// Follow calls fn for every event from now on. It returns when ctx ends or
	// when the peer is gone, then with an error that wraps ErrGone.
	Follow(ctx context.Context, fn func(event.Event)) error
	// SaysText reports whether a line that is typed is a text unless it begins with
	// a slash.
	SaysText(ctx context.Context) bool
	// Ping returns nil once the peer shows a sign of life.
	Ping(ctx context.Context) error
}

// retry is how long to wait before a broken stream of events is asked for again.
const retry = 500 * time.Millisecond

// attached is a peer in another process.
type attached struct {
	client  *control.Client
	name    string
	started time.Time // one that was started later is not the one attached to
	last    uint64    // the latest event when it was attached to
}

// Attach returns the peer that client talks to. The client stays the caller's
// to close.
func Attach(ctx context.Context, client *control.Client) (Peer, error) {
	st, err := client.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	return &attached{client: client, name: st.Name, started: st.Started, last: st.Last}, nil
}

func (a *attached) Name() string { return a.name }

func (a *attached) Exec(ctx context.Context, line string, out io.Writer) error {
	err := a.client.Exec(ctx, line, nil, out)
	if errors.Is(err, control.ErrNoPeer) && a.gone(ctx) {
		return gone(a.name)
	}
	return err
}

func (a *attached) Complete(ctx context.Context, line string) []string {
	candidates, _, _ := a.client.Complete(ctx, line)
	return candidates // none on an error: a TAB that does nothing says enough
}

// Follow goes on where it was when the peer is still there: it drops a client
// that was too slow, as a suspended terminal is.
func (a *attached) Follow(ctx context.Context, fn func(event.Event)) error {
	after := a.last
	for {
		err := a.client.Events(ctx, after, true, func(e event.Event) error {
			after = e.Seq
			fn(e)
			return nil
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, control.ErrNoPeer) && a.gone(ctx) {
			return gone(a.name)
		}
		select {
		case <-time.After(retry):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (a *attached) SaysText(ctx context.Context) bool {
	st, err := a.client.Info(ctx)
	return err == nil && st.SaysText
}

func (a *attached) Ping(ctx context.Context) error {
	_, err := a.client.Info(ctx)
	return err
}

// gone says whether the peer has ended, perhaps with another in its place.
func (a *attached) gone(ctx context.Context) bool {
	st, err := a.client.Info(ctx)
	return errors.Is(err, control.ErrNoPeer) || err == nil && !st.Started.Equal(a.started)
}

// local is a peer in this process.
type local struct {
	name     string
	registry *command.Registry
	log      *event.Log
}

// Local returns the peer of this process that has the given name, commands
// and events.
func Local(name string, reg *command.Registry, log *event.Log) Peer {
	return &local{name: name, registry: reg, log: log}
}

func (l *local) Name() string { return l.name }

func (l *local) Exec(ctx context.Context, line string, out io.Writer) (err error) {
	defer func() { // as the control API does: a command cannot end the peer
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	return l.registry.RunLine(ctx, line, nil, out)
}

func (l *local) Complete(_ context.Context, line string) []string {
	candidates, _ := l.registry.Complete(line)
	return candidates
}

func (l *local) Follow(ctx context.Context, fn func(event.Event)) error {
	err := l.log.Follow(ctx, l.log.Last(), func(e event.Event) error {
		fn(e)
		return nil
	})
	if errors.Is(err, event.ErrClosed) {
		return gone(l.name)
	}
	return err
}

func (l *local) SaysText(context.Context) bool { return l.registry.SaysText() }

func (l *local) Ping(context.Context) error { return nil }

func gone(name string) error {
	return fmt.Errorf("peer %s %w", terminal.Line(name), ErrGone)
}
