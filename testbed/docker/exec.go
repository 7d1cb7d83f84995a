package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"peerlab/testbed"
	"peerlab/testbed/docker/adapter"
)

// look is how often a running command's peer is looked at: within two seconds
// it must be told that the peer is paused.
const look = time.Second / 2

// errorLimit bounds what is kept of what a command says of its failure.
const errorLimit = 64 << 10

// Exec implements testbed.Engine. When ctx ends, the command is left to itself.
func (c *Cluster) Exec(ctx context.Context, name, line string, out io.Writer) error {
	if strings.TrimSpace(line) == "" {
		return errors.New("nothing to run: the line is empty")
	}
	m, kind, err := c.runs(ctx, name)
	if err != nil {
		return err
	}
	command, err := kind.Line(line)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	c.running.Go(func() { c.watchPause(ctx, name, m.id, cancel, done) })
	defer close(done)
	err = c.exec(ctx, name, m.id, command, out)
	if cause := context.Cause(ctx); cause != nil && err != nil {
		return cause
	}
	return err
}

func (c *Cluster) exec(ctx context.Context, name, id string, command []string, out io.Writer) error {
	made, err := c.daemon.api.ExecCreate(ctx, id, client.ExecCreateOptions{
		AttachStdout: true, AttachStderr: true, Cmd: command,
	})
	if errdefs.IsConflict(err) { // it ended, or was paused, since it was looked at
		if _, _, now := c.runs(ctx, name); now != nil {
			return now
		}
		return fmt.Errorf("%s ended before it could run the line: it %w", name, testbed.ErrStopped)
	}
	if err != nil {
		return fmt.Errorf("run a line in %s: %w", name, err)
	}
	stream, err := c.daemon.api.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return fmt.Errorf("run a line in %s: %w", name, err)
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, stream.Close)()
	said := bounded{limit: errorLimit}
	if _, err := stdcopy.StdCopy(out, &said, stream.Reader); err != nil {
		return fmt.Errorf("read what %s answers: %w", name, err)
	}
	ended, err := c.daemon.api.ExecInspect(ctx, made.ID, client.ExecInspectOptions{})
	switch {
	case err != nil:
		return fmt.Errorf("how the line ended in %s: %w", name, err)
	case ended.ExitCode == 137:
		return fmt.Errorf("%s ended while it ran the line: it %w", name, testbed.ErrStopped)
	case ended.ExitCode != 0:
		text := strings.TrimPrefix(strings.TrimSpace(said.String()), "peer: ")
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

// runs returns the container of a peer that can be talked to, and how.
func (c *Cluster) runs(ctx context.Context, name string) (container, adapter.Adapter, error) {
	picked, err := c.pick(ctx, []string{name})
	if err != nil {
		return container{}, nil, err
	}
	m := picked[0]
	if name == testbed.Bootstrap {
		return m, nil, errors.New("bootstrap is no peer: it has no command line")
	}
	kind, err := adapter.Named(m.adapter)
	if err != nil {
		return m, nil, fmt.Errorf("%s: %w", name, err) // another version of this program made it
	}
	return m, kind, usable(m.Peer)
}

func usable(p testbed.Peer) error {
	switch p.State {
	case testbed.Paused:
		return fmt.Errorf("%s %w: peerlab resume %[1]s wakes it", p.Name, testbed.ErrPaused)
	case testbed.Stopped:
		return fmt.Errorf("%s %w: peerlab start %[1]s brings it back", p.Name, testbed.ErrStopped)
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
		info, err := c.daemon.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err == nil && info.Container.State != nil && info.Container.State.Status == api.StatePaused {
			cancel(usable(testbed.Peer{Name: name, State: testbed.Paused}))
			return
		}
	}
}

// bounded is a buffer that drops what is too much.
type bounded struct {
	bytes.Buffer
	limit int
}

func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), max(0, b.limit-b.Len()))])
	return len(p), nil
}
