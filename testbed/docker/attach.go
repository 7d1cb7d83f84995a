package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"peerlab/testbed/docker/dockerd"
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

const (
	keyInterrupt = '\x03' // Ctrl-C
	keyEnd       = '\x04' // Ctrl-D
	keyLeave     = '\x1d' // Ctrl-]
	// leaveShell ends what runs in a shell, leaves a search, drops the line being
	// typed and leaves the shell.
	leaveShell = "\x03\x03\x04"
	// plainTerminal takes back what a shell that is killed has set: colors, and
	// the marks around what is pasted.
	plainTerminal = "\x1b[0m\x1b[?2004l"
	// dieTimeout is how long Docker has to tell that a container has died whose
	// shell is gone, a matter of a tenth of a second.
	dieTimeout = 5 * time.Second
	// leaveTimeout is how long a shell has to end that is left by Ctrl-].
	leaveTimeout = 2 * time.Second
)

// Attach opens the shell of a running peer on t, which must be in raw mode. It
// returns the status with which the shell ended, 0 if the user left it or the
// peer ended with 0, as after the command quit or a stop. What happens to the peer
// meanwhile it says on the terminal, in a line of its own. Ctrl-] leaves at any
// time; while the peer is paused, Ctrl-C and Ctrl-D do, too, and other keys are
// dropped. The peer goes on.
func (c *Cluster) Attach(ctx context.Context, name string, t Terminal) (status int, err error) {
	m, kind, err := c.runs(ctx, name)
	if err != nil {
		return 1, err
	}
	shell := kind.Shell()
	if shell == nil {
		return 1, fmt.Errorf("a peer of kind %s has no shell: use %s", kind.Name(), c.Command("exec", name, "--", "LINE"))
	}
	made, err := c.daemon.API.ExecCreate(ctx, m.ID, client.ExecCreateOptions{
		AttachStdin: true, AttachStdout: true, AttachStderr: true, TTY: true,
		Cmd: shell, Env: []string{"TERM=" + t.Term, "PEER_CLUSTER=" + c.name},
		DetachKeys: "ctrl-@,ctrl-@", // Docker's own would swallow Ctrl-P
	})
	if err != nil {
		return 1, fmt.Errorf("attach to %s: %w", name, err)
	}
	stream, err := c.daemon.API.ExecAttach(ctx, made.ID, client.ExecAttachOptions{TTY: true})
	if err != nil {
		return 1, fmt.Errorf("attach to %s: %w", name, err)
	}
	defer stream.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, stream.Close)()

	a := &attachment{
		cluster: c, container: m, execID: made.ID, terminal: t, toShell: stream.Conn,
		died: make(chan string, 1), left: make(chan struct{}),
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() { a.watch(ctx) })
	c.running.Go(func() { c.resizes(ctx, made.ID, t) })
	// Not waited for: a read from a terminal cannot be interrupted.
	go func() {
		// Docker stops showing what a shell writes when its input has ended.
		if left := a.readKeys(); !left {
			_ = stream.CloseWrite()
		}
	}()
	shown := make(chan error, 1)
	go func() { // ends with the stream, which is closed below
		_, err := io.Copy(a, stream.Reader)
		shown <- err
	}()
	select {
	case err = <-shown:
	case <-a.left:
		return a.leave(shown), nil
	}
	if ctx.Err() != nil {
		return 1, ctx.Err()
	}
	if err != nil {
		return 1, fmt.Errorf("read the shell of %s: %w", name, err)
	}
	return a.end(ctx)
}

// attachment is one terminal at one peer's shell.
type attachment struct {
	cluster   *Cluster
	container dockerd.Member
	execID    string
	terminal  Terminal
	toShell   io.Writer
	died      chan string   // receives the exit status of the container when it dies
	left      chan struct{} // closed when the user leaves by a key

	mu      sync.Mutex
	paused  bool
	midLine bool // what the shell wrote last did not end its line
}

// Write shows what the shell writes.
func (a *attachment) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.midLine = len(p) > 0 && p[len(p)-1] != '\n'
	return a.terminal.Out.Write(p)
}

// say shows a line of its own.
func (a *attachment) say(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	line := fmt.Sprintf(format, args...) + "\r\n"
	if a.midLine {
		line = "\r\n" + line
	}
	a.midLine = false
	_, _ = io.WriteString(a.terminal.Out, line)
}

// command returns how to call a command of peerlab for the peer.
func (a *attachment) command(verb string) string {
	return a.cluster.Command(verb, a.container.Name)
}

// readKeys hands what is typed to the shell, until the user leaves by a key, which
// it reports, the shell is gone, or nothing more can be typed.
func (a *attachment) readKeys() (left bool) {
	buf := make([]byte, 4096)
	for {
		n, err := a.terminal.In.Read(buf)
		keys, leaves := a.filter(buf[:n])
		if leaves { // now, or when the peer is no longer paused
			_, _ = io.WriteString(a.toShell, leaveShell)
			close(a.left)
			return true
		}
		if _, werr := a.toShell.Write(keys); werr != nil || err != nil {
			return false
		}
	}
}

// filter returns what of the keys is for the shell, and whether they leave it.
func (a *attachment) filter(keys []byte) (forShell []byte, leaves bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.paused {
		return keys, bytes.IndexByte(keys, keyLeave) >= 0
	}
	// A frozen shell would do later, all at once, what nobody sees it do now.
	return nil, bytes.ContainsFunc(keys, func(r rune) bool { return r == keyLeave || r == keyInterrupt || r == keyEnd })
}

// watch says what Docker tells of the container, until ctx ends.
func (a *attachment) watch(ctx context.Context) {
	daemon := a.cluster.daemon
	filters := make(client.Filters).Add("type", string(events.ContainerEventType)).Add("container", a.container.ID)
	for _, action := range []events.Action{events.ActionPause, events.ActionUnPause, events.ActionDie} {
		filters.Add("event", string(action))
	}
	stream := daemon.API.Events(ctx, client.EventsListOptions{Filters: filters})
	// What was done before Docker was asked is not told.
	if info, err := daemon.API.ContainerInspect(ctx, a.container.ID, client.ContainerInspectOptions{}); err == nil &&
		info.Container.State != nil && info.Container.State.Paused {
		a.pause()
	}
	for {
		select {
		case msg := <-stream.Messages:
			switch msg.Action {
			case events.ActionPause:
				a.pause()
			case events.ActionUnPause:
				a.resume(ctx)
			case events.ActionDie:
				a.died <- msg.Actor.Attributes["exitCode"]
				return
			}
		case <-stream.Err: // end looks at the container itself
			return
		case <-ctx.Done():
			return
		}
	}
}

func (a *attachment) setPaused(paused bool) (changed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	changed = a.paused != paused
	a.paused = paused
	return changed
}

func (a *attachment) pause() {
	if a.setPaused(true) {
		a.say("%s is paused and hears nothing; Ctrl-C or Ctrl-] leaves the shell", a.container.Name)
		a.say("%s wakes it", a.command("resume"))
	}
}

func (a *attachment) resume(ctx context.Context) {
	if !a.setPaused(false) {
		return
	}
	a.say("%s goes on", a.container.Name)
	// The shell draws its line again when its window has changed.
	columns, rows := a.terminal.Size()
	for _, height := range []int{rows + 1, rows} {
		_ = a.cluster.resize(ctx, a.execID, columns, height)
	}
}

// leave leaves the shell behind, which has the keys that end it.
func (a *attachment) leave(shown <-chan error) (status int) {
	a.mu.Lock()
	paused := a.paused
	a.mu.Unlock()
	if !paused {
		timeout := time.NewTimer(leaveTimeout)
		defer timeout.Stop()
		select {
		case <-shown:
			return 0
		case <-timeout.C:
		}
	}
	_, _ = io.WriteString(a.terminal.Out, plainTerminal)
	if paused {
		a.say("left %s, which is still paused: %s wakes it", a.container.Name, a.command("resume"))
	} else {
		a.say("left %s, whose shell does not answer", a.container.Name)
	}
	return 0
}

// end returns the status of a shell that has ended, and says why if that was not
// its own doing.
func (a *attachment) end(ctx context.Context) (status int, err error) {
	daemon := a.cluster.daemon
	ended, err := daemon.API.ExecInspect(ctx, a.execID, client.ExecInspectOptions{})
	if err == nil && ended.ExitCode == 0 && !ended.Running {
		return 0, nil
	}
	_, _ = io.WriteString(a.terminal.Out, plainTerminal)
	name, brings := a.container.Name, a.command("start")+" brings it back"
	waiting, cancel := context.WithTimeout(ctx, dieTimeout)
	defer cancel()
	var exit string
	select {
	case exit = <-a.died:
	case <-waiting.Done():
	}
	info, err := daemon.API.ContainerInspect(ctx, a.container.ID, client.ContainerInspectOptions{})
	state := info.Container.State
	switch {
	case errdefs.IsNotFound(err), err == nil && state != nil && state.Status == api.StateRemoving:
		a.say("%s was removed, with all it reported%s", name, recreate(a.container.Origin, a.cluster.name))
		return 1, nil
	case err != nil:
		return 1, fmt.Errorf("look at %s, whose shell has ended: %w", name, err)
	case exit == "" && state != nil && state.Running:
		a.say("the shell in %s ended (%d), %s goes on", name, ended.ExitCode, name)
		return ended.ExitCode, nil
	case exit == "" && state != nil:
		exit = fmt.Sprint(state.ExitCode)
	}
	switch exit {
	case "0":
		a.say("%s has ended (0): %s", name, brings)
		return 0, nil
	case "137":
		why := "was killed"
		if state != nil && state.OOMKilled {
			why = "took too much memory and was killed"
		}
		a.say("%s %s (137): %s", name, why, brings)
	default:
		a.say("%s has ended (%s): %s", name, exit, brings)
		a.say("%s says why", a.command("logs"))
	}
	return 1, nil
}

// recreate says how a peer that was removed is made again, "" if it is not by a
// command.
func recreate(origin dockerd.Origin, cluster string) string {
	switch origin {
	case dockerd.ByCompose:
		project := "COMPOSE_PROJECT_NAME=" + cluster
		return ": " + project + " make up, or docker compose up -d, makes it again"
	case dockerd.ByPeerlab:
		return fmt.Sprintf(": %s, then %s, makes a new cluster", CommandLine(cluster, "down"), CommandLine(cluster, "up"))
	}
	return ""
}

// resizes keeps the shell's window as large as the terminal. The first time it
// may come before the shell has one: then it tries again.
func (c *Cluster) resizes(ctx context.Context, id string, t Terminal) {
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for tries := 0; ; {
		columns, rows := t.Size()
		if tries++; c.resize(ctx, id, columns, rows) != nil && tries < 50 {
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

func (c *Cluster) resize(ctx context.Context, id string, columns, rows int) error {
	_, err := c.daemon.API.ExecResize(ctx, id, client.ExecResizeOptions{Height: uint(max(rows, 1)), Width: uint(max(columns, 1))})
	return err
}
