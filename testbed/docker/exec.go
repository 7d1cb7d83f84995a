package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"peerlab/testbed"
	"peerlab/testbed/docker/adapter"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/docker/probe"
)

// look is how often a running command's peer is looked at: within two seconds
// it must be told that the peer is paused.
const look = time.Second / 2

// Exec implements testbed.Engine.
func (c *Cluster) Exec(ctx context.Context, name, line string, in testbed.Input, out io.Writer) error {
	if strings.TrimSpace(line) == "" {
		return errors.New("nothing to run: the line is empty")
	}
	m, kind, err := c.runs(ctx, name)
	if err != nil {
		return err
	}
	command, err := kind.Line(line, in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	c.running.Go(func() { c.watchPause(ctx, name, m.ID, cancel, done) })
	defer close(done)
	err = c.exec(ctx, name, m.ID, command, in.Columns, out)
	if cause := context.Cause(ctx); cause != nil && err != nil {
		return cause
	}
	return err
}

func (c *Cluster) exec(ctx context.Context, name, id string, command adapter.Line, columns int, out io.Writer) error {
	var env []string
	if columns > 0 {
		env = []string{fmt.Sprintf("COLUMNS=%d", columns)}
	}
	execID, stream, err := c.beginExec(ctx, name, id, command, env)
	if err != nil {
		return err
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, stream.Close)()
	if command.Stdin != nil {
		// It stays open after that: its end cancels the command.
		c.running.Go(func() { _, _ = stream.Conn.Write(command.Stdin) })
	}
	said := probe.Output{Limit: probe.ErrorLimit}
	if _, err := stdcopy.StdCopy(out, &said, stream.Reader); err != nil {
		return fmt.Errorf("read what %s answers: %w", name, err)
	}
	ended, err := c.daemon.API.ExecInspect(ctx, execID, client.ExecInspectOptions{})
	text := strings.TrimPrefix(strings.TrimSpace(said.String()), "peer: ")
	stopped := fmt.Errorf("%s ended while it ran the line: it %w", name, testbed.ErrStopped)
	switch {
	case err != nil:
		return fmt.Errorf("how the line ended in %s: %w", name, err)
	case command.Unanswered != 0 && ended.ExitCode == command.Unanswered && c.endsWithin(ctx, id, time.Second):
		// What runs the line noticed the peer's end before it was killed itself.
		return stopped
	case ended.ExitCode == 137:
		if !c.endsWithin(ctx, id, time.Second) { // Docker tells of the line's end first
			return &testbed.CommandError{Peer: name, Message: "the line was killed (137), as by the kernel when it takes too much memory; the peer runs"}
		}
		return stopped
	case ended.ExitCode != 0:
		if first, _, more := strings.Cut(text, "\n"); more {
			text = first + " …"
		}
		if text == "" {
			text = fmt.Sprintf("the command ended with status %d", ended.ExitCode)
		}
		return &testbed.CommandError{Peer: name, Message: text}
	}
	return nil
}

// endsWithin reports whether a container has ended, or does so within patience.
func (c *Cluster) endsWithin(ctx context.Context, id string, patience time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	wait := c.daemon.API.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: api.WaitConditionNotRunning})
	select {
	case <-wait.Result:
		return true
	case err := <-wait.Error:
		return errdefs.IsNotFound(err)
	}
}

// beginExec asks for a command in a container, when nobody pauses that, and
// returns the command's id and what it writes.
func (c *Cluster) beginExec(ctx context.Context, name, id string, command adapter.Line, env []string) (execID string, stream client.ExecAttachResult, err error) {
	give, err := c.turn(ctx, id)
	if err != nil {
		return "", stream, err
	}
	defer give()
	created, err := c.daemon.API.ExecCreate(ctx, id, client.ExecCreateOptions{
		AttachStdin: command.Stdin != nil, AttachStdout: true, AttachStderr: true, Cmd: command.Command, Env: env,
	})
	if errdefs.IsConflict(err) { // it ended, or was paused, since it was looked at
		if _, _, now := c.runs(ctx, name); now != nil {
			return "", stream, now
		}
		return "", stream, fmt.Errorf("%s ended before it could run the line: it %w", name, testbed.ErrStopped)
	}
	if err != nil {
		return "", stream, fmt.Errorf("run a line in %s: %w", name, err)
	}
	if stream, err = c.daemon.API.ExecAttach(ctx, created.ID, client.ExecAttachOptions{}); err != nil {
		return "", stream, fmt.Errorf("run a line in %s: %w", name, err)
	}
	return created.ID, stream, nil
}

// turn waits until nobody begins a command in a container or pauses it, and
// keeps others from doing so until give is called.
func (c *Cluster) turn(ctx context.Context, id string) (give func(), err error) {
	c.mu.Lock()
	turn, ok := c.turns[id]
	if !ok {
		turn = make(chan struct{}, 1)
		c.turns[id] = turn
	}
	c.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// beginPatience is how long a command has to become a process, a matter of a
// tenth of a second.
const beginPatience = 10 * time.Second

// begun waits until the commands that were asked for in a container, by whoever
// it was, are processes. One that a pause freezes on its way there blocks the
// container for good: its shim waits for runc, runc for the command, which is
// frozen, and the end of the pause for the shim. What the daemon has not begun
// with by beginPatience somebody has given up.
func (c *Cluster) begun(ctx context.Context, id string) error {
	waiting, cancel := context.WithTimeout(ctx, beginPatience)
	defer cancel()
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for {
		info, err := c.daemon.API.ContainerInspect(waiting, id, client.ContainerInspectOptions{})
		if err != nil {
			return fmt.Errorf("what begins in it: %w", err)
		}
		if !slices.ContainsFunc(info.Container.ExecIDs, func(execID string) bool {
			is, err := c.daemon.API.ExecInspect(waiting, execID, client.ExecInspectOptions{})
			return err == nil && is.PID == 0
		}) {
			return nil
		}
		select {
		case <-retry.C:
		case <-waiting.Done():
			return ctx.Err()
		}
	}
}

// runs returns the container of a peer that can be talked to, and how.
func (c *Cluster) runs(ctx context.Context, name string) (dockerd.Member, adapter.Adapter, error) {
	picked, err := c.pick(ctx, []string{name})
	if err != nil {
		return dockerd.Member{}, nil, err
	}
	m := picked[0]
	if name == testbed.Bootstrap {
		return m, nil, errors.New("bootstrap is no peer: it has no command line")
	}
	kind, err := adapter.Named(m.Adapter)
	if err != nil {
		return m, nil, fmt.Errorf("%s: %w", name, err) // another version of this program made it
	}
	return m, kind, c.usable(m.Peer)
}

// usable returns why a peer takes no lines, nil if it does.
func (c *Cluster) usable(p testbed.Peer) error {
	switch p.State {
	case testbed.Paused:
		return fmt.Errorf("%s %w: %s wakes it", p.Name, testbed.ErrPaused, c.Command("resume", p.Name))
	case testbed.Stopped:
		return fmt.Errorf("%s %w: %s brings it back", p.Name, testbed.ErrStopped, c.Command("start", p.Name))
	}
	return nil
}

// watchPause ends a command whose peer gets paused: a process that is frozen
// says nothing, not even that it is.
func (c *Cluster) watchPause(ctx context.Context, name, id string, cancel context.CancelCauseFunc, done <-chan struct{}) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		info, err := c.daemon.API.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err == nil && info.Container.State != nil && info.Container.State.Status == api.StatePaused {
			cancel(c.usable(testbed.Peer{Name: name, State: testbed.Paused}))
			return
		}
	}
}
