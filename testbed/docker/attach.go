package docker

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/moby/moby/client"
)

// Terminal is what a person sits at. Its In is read until the shell ends, and
// one read more: that of the key that comes next.
type Terminal struct {
	In   io.Reader
	Out  io.Writer
	Term string // the value of TERM
	// Size returns columns and rows; Resized tells that they have changed.
	Size    func() (columns, rows int)
	Resized <-chan struct{}
}

// Attach opens the shell of a running peer on t, which must be in raw mode,
// and returns the status with which the shell ended. The peer goes on.
func (c *Cluster) Attach(ctx context.Context, name string, t Terminal) (status int, err error) {
	m, kind, err := c.runs(ctx, name)
	if err != nil {
		return 1, err
	}
	shell := kind.Shell()
	if shell == nil {
		return 1, fmt.Errorf("a peer of kind %s has no shell: use %s", kind.Name(), c.Command("exec", name, "--", "LINE"))
	}
	made, err := c.daemon.api.ExecCreate(ctx, m.id, client.ExecCreateOptions{
		AttachStdin: true, AttachStdout: true, AttachStderr: true, TTY: true,
		Cmd: shell, Env: []string{"TERM=" + t.Term},
		DetachKeys: "ctrl-@,ctrl-@", // Docker's own would swallow Ctrl-P
	})
	if err != nil {
		return 1, fmt.Errorf("attach to %s: %w", name, err)
	}
	stream, err := c.daemon.api.ExecAttach(ctx, made.ID, client.ExecAttachOptions{TTY: true})
	if err != nil {
		return 1, fmt.Errorf("attach to %s: %w", name, err)
	}
	defer stream.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, stream.Close)()

	c.running.Go(func() { c.resizes(ctx, made.ID, t) })
	// Not waited for: a read from a terminal cannot be interrupted.
	go func() {
		_, _ = io.Copy(stream.Conn, t.In)
		_ = stream.CloseWrite()
	}()
	_, err = io.Copy(t.Out, stream.Reader)
	if ctx.Err() != nil {
		return 1, ctx.Err()
	}
	if err != nil {
		return 1, fmt.Errorf("read the shell of %s: %w", name, err)
	}
	ended, err := c.daemon.api.ExecInspect(ctx, made.ID, client.ExecInspectOptions{})
	return ended.ExitCode, err
}

// resizes keeps the shell's window as large as the terminal. The first time it
// may come before the shell has one: then it tries again.
func (c *Cluster) resizes(ctx context.Context, id string, t Terminal) {
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for tries := 0; ; {
		columns, rows := t.Size()
		_, err := c.daemon.api.ExecResize(ctx, id, client.ExecResizeOptions{Height: uint(max(rows, 1)), Width: uint(max(columns, 1))})
		if tries++; err != nil && tries < 50 {
			select {
			case <-retry.C:
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-t.Resized:
			tries = 0
		case <-ctx.Done():
			return
		}
	}
}
