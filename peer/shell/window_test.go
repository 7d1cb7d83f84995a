//go:build linux

package shell

import (
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

const (
	up, down, left, right = "\x1b[A", "\x1b[B", "\x1b[D", "\x1b[C"
	ctrlA, ctrlC, ctrlD   = "\x01", "\x03", "\x04"
	ctrlE, ctrlL, ctrlR   = "\x05", "\x0c", "\x12"
	ctrlG                 = "\x07"
	deleteKey             = "\x1b[3~"
)

// window is a shell in a terminal, as a person has it before them.
type window struct {
	t         testing.TB
	ptmx, tty *os.File
	done      chan error // Run's result
	cancel    context.CancelFunc

	mu      sync.Mutex
	changed chan struct{}
	screen  *vt
	sent    []byte // everything the terminal was sent
}

// open runs a shell in a terminal of 72 by 12.
func open(t testing.TB, opts Options) *window {
	t.Helper()
	ptmx, tty := openPTY(t)
	w := &window{t: t, ptmx: ptmx, tty: tty, done: make(chan error, 1), changed: make(chan struct{}), screen: newVT(72, 12)}
	if err := pty.Setsize(tty, &pty.Winsize{Cols: 72, Rows: 12}); err != nil {
		t.Fatal(err)
	}
	opts.In, opts.Out = tty, tty
	if opts.patience == 0 {
		opts.patience = time.Minute
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	finished, read := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		w.done <- Run(ctx, opts)
	}()
	go func() {
		defer close(read)
		w.read()
	}()
	t.Cleanup(func() {
		cancel()
		<-finished
		tty.Close()
		ptmx.Close()
		<-read
	})
	return w
}

// openPTY returns a terminal's two sides. Reads from the first end when it is
// closed, for which it must not block, as pty leaves it.
func openPTY(t testing.TB) (ptmx, tty *os.File) {
	t.Helper()
	blocking, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer blocking.Close()
	fd, err := syscall.Dup(int(blocking.Fd()))
	if err == nil {
		err = syscall.SetNonblock(fd, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "ptmx"), tty
}

func (w *window) read() {
	buf := make([]byte, 4096)
	for {
		n, err := w.ptmx.Read(buf)
		if err != nil {
			return
		}
		w.mu.Lock()
		w.sent = append(w.sent, buf[:n]...)
		w.screen.feed(buf[:n])
		close(w.changed)
		w.changed = make(chan struct{})
		w.mu.Unlock()
	}
}

// keys types.
func (w *window) keys(s string) {
	w.t.Helper()
	if _, err := io.WriteString(w.ptmx, s); err != nil {
		w.t.Fatal(err)
	}
}

// await waits until ok says that the screen is as it should be.
func (w *window) await(what string, ok func(screen string) bool) {
	w.t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		w.mu.Lock()
		screen, changed := w.screen.String(), w.changed
		w.mu.Unlock()
		if ok(screen) {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			w.t.Fatalf("within 10 s the screen did not show %s, but\n%s", what, screen)
		}
	}
}

// shows waits until the screen is exactly these lines; ▏ is the cursor.
func (w *window) shows(lines ...string) {
	w.t.Helper()
	want := strings.Join(lines, "\n")
	w.await("\n"+want+"\n", func(screen string) bool { return screen == want })
}

// ends waits until the screen's last lines are these.
func (w *window) ends(lines ...string) {
	w.t.Helper()
	want := strings.Join(lines, "\n")
	w.await("at its end\n"+want+"\n", func(screen string) bool {
		return screen == want || strings.HasSuffix(screen, "\n"+want)
	})
}

// result waits until the shell has ended.
func (w *window) result() error {
	w.t.Helper()
	return receive(w.t, w.done, "end of the shell")
}

func receive[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("no %s within 10 s", what)
		panic("unreachable")
	}
}
