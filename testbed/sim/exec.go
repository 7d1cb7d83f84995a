package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"sync"

	"peerlab/peer"
	"peerlab/peer/files"
	"peerlab/testbed"
)

// Exec implements testbed.Engine. When it returns before the line has ended,
// because ctx has or the peer is paused or gone, the line is left to itself.
func (c *Cluster) Exec(ctx context.Context, name, line string, in testbed.Input, out io.Writer) error {
	m := c.members[name]
	switch {
	case m == nil:
		return testbed.NoPeer(name, c.order)
	case name == testbed.Bootstrap:
		return errors.New("bootstrap is no peer: it has no command line")
	case strings.TrimSpace(line) == "":
		return errors.New("nothing to run: the line is empty")
	}
	p, woken, err := m.commanded(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return errClosed
	}
	c.running.Add(1)
	c.mu.Unlock()
	lineCtx, cancel := context.WithCancel(ctx)
	var stdin io.Reader
	if in.Stdin != nil {
		stdin = strings.NewReader(*in.Stdin)
	}
	until := &valve{w: out}
	done := make(chan error, 1)
	go label(lineCtx, name, func() {
		defer c.running.Done()
		defer cancel()
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("internal error: %v\n%s", p, debug.Stack())
			}
		}()
		lineCtx = files.With(lineCtx, in.Files)
		if len(in.Words) > 0 {
			done <- p.Commands().Run(lineCtx, in.Words, stdin, until)
			return
		}
		done <- p.Commands().RunLine(lineCtx, line, stdin, until)
	})
	defer until.shut()
	for {
		select {
		case err := <-done:
			if err != nil {
				return &testbed.CommandError{Peer: name, Message: err.Error()}
			}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-woken:
		}
		m.mu.Lock()
		err, woken = m.usable(), m.woken
		m.mu.Unlock()
		if errors.Is(err, testbed.ErrStopped) {
			cancel()
			return endedMeanwhile(name, done)
		}
		if err != nil {
			return err
		}
	}
}

// commanded returns the peer when it takes commands, which is when its process
// has begun, and what tells that this may be over.
func (m *member) commanded(ctx context.Context) (*peer.Peer, <-chan struct{}, error) {
	for {
		m.mu.Lock()
		err, p, woken, began := m.usable(), m.instance, m.woken, m.began
		m.mu.Unlock()
		if err != nil {
			return nil, nil, err
		}
		select {
		case <-began:
			return p, woken, nil
		default:
		}
		select {
		case <-began:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-woken:
		}
	}
}

// endedMeanwhile tells a line that made its peer end, such as quit, from one
// that was cut short.
func endedMeanwhile(name string, done <-chan error) error {
	select {
	case err := <-done:
		if err == nil {
			return nil
		}
	default:
	}
	return fmt.Errorf("%s ended while it ran the line: it %w", name, testbed.ErrStopped)
}

// usable says why nobody can talk to the peer. The caller holds the lock.
func (m *member) usable() error {
	switch m.state {
	case testbed.Paused:
		return fmt.Errorf("%s %w: resume it first", m.host.name, testbed.ErrPaused)
	case testbed.Stopped:
		return fmt.Errorf("%s %w: start it first", m.host.name, testbed.ErrStopped)
	}
	return nil
}

// valve passes on what is written until it is shut.
type valve struct {
	mu sync.Mutex
	w  io.Writer
}

func (v *valve) Write(b []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.w == nil {
		return len(b), nil
	}
	return v.w.Write(b)
}

func (v *valve) shut() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.w = nil
}
