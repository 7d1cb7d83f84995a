package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"peerlab/internal/peercred"
)

// maxPath is the longest path of a unix socket that Linux takes, in bytes.
const maxPath = 107

// Listen listens on a unix socket at path that only its owner can open, and
// accepts connections of root and of this process's user alone. It makes the
// parent directory if missing, and refuses one that belongs to another user or
// that others can write to. It replaces a socket that a killed peer left behind,
// and refuses to touch a socket on which a peer still answers or a file that is
// no socket. Closing the listener removes the socket.
func Listen(path string) (net.Listener, error) {
	if path == "" || len(path) > maxPath {
		return nil, fmt.Errorf("control socket path of %d bytes: it must have 1 to %d", len(path), maxPath)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory for control socket: %w", err)
	}
	if err := peercred.CheckDirectory(dir); err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	unlock := lockDir(dir)
	defer unlock()
	if err := clearStale(path); err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		// The mode of the socket before bind becomes the mode of the file, so
		// that there is no moment at which others could open it.
		return c.Control(protectSocket)
	}}
	l, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on control socket: %w", err)
	}
	ul := l.(*net.UnixListener)
	ul.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		_ = ul.Close()
		return nil, fmt.Errorf("protect control socket: %w", err)
	}
	file, err := os.Lstat(path)
	if err != nil {
		_ = ul.Close()
		return nil, fmt.Errorf("look at control socket: %w", err)
	}
	guarded := peercred.NewListener(ul, os.Getuid(), slog.New(slog.DiscardHandler))
	return &listener{Listener: guarded, path: path, file: file}, nil
}

// listener removes its socket on Close, unless the path has another by then.
type listener struct {
	net.Listener
	path string
	file fs.FileInfo
	once sync.Once
}

// Close stops listening and removes the socket.
func (l *listener) Close() error {
	l.once.Do(func() {
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.file) {
			_ = os.Remove(l.path)
		}
	})
	return l.Listener.Close()
}

// clearStale removes the socket of a peer that is no more.
func clearStale(path string) error {
	file, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look at control socket: %w", err)
	case file.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s exists and is not a socket: remove it or choose another control socket", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = conn.Close()
	}
	// Only a refusal proves that nobody listens: a busy or paused peer does not refuse.
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("another peer answers on %s: stop it or choose another control socket", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the control socket of a dead peer: %w", err)
	}
	return nil
}

// Serve answers requests on l with h until ctx ends, then cancels those that
// run, gives them half a second to end and closes l. It returns nil after ctx
// ended, otherwise the listener's error.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		// A client's rubbish is answered with 400: it is no news of the peer.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		_ = srv.Close()
		return fmt.Errorf("serve control socket: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 500*time.Millisecond)
	defer cancel()
	if srv.Shutdown(end) != nil {
		_ = srv.Close()
	}
	<-served
	return nil
}
