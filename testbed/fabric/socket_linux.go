package fabric

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// SocketOf returns the default socket of a lab's agent: one that has a name
// but no file. Whoever shares the host's network can reach it, so both ends
// look at who the other is; nothing needs to be mounted and nothing is left.
func SocketOf(lab string) string { return "@peerlab-fabric-" + lab }

// Listen listens on a unix socket, on one without a file if the name begins
// with "@", and lets in processes of root and of the user uid.
func Listen(path string, uid int, log *slog.Logger) (net.Listener, error) {
	// Who may connect is decided on accepting, by what the kernel says of the
	// caller: the file's mode could not name a user of the host.
	config := net.ListenConfig{}
	l, err := config.Listen(context.Background(), "unix", path)
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: %w: is another agent running?", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if path[0] != '@' {
		if err := os.Chmod(path, 0o666); err != nil {
			return nil, errors.Join(fmt.Errorf("open the socket to others: %w", err), l.Close())
		}
	}
	return &guarded{Listener: l, uid: uint32(uid), log: log}, nil
}

// guarded accepts connections of two users only.
type guarded struct {
	net.Listener
	uid uint32
	log *slog.Logger
}

func (g *guarded) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		uid, err := userOf(conn)
		if err == nil && (uid == 0 || uid == g.uid) {
			return conn, nil
		}
		g.log.Warn("connection refused", "uid", uid, "err", err)
		_ = conn.Close()
	}
}

// trust returns an error unless the socket's other end is root's or our own.
func trust(conn net.Conn) error {
	uid, err := userOf(conn)
	if err != nil {
		return fmt.Errorf("find out who listens: %w", err)
	}
	if uid != 0 && int(uid) != os.Getuid() {
		return fmt.Errorf("user %d listens there, not the agent", uid)
	}
	return nil
}

// userOf returns the user who connected to the socket, or listens on it.
func userOf(conn net.Conn) (uint32, error) {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, failed
	}
	return peer.Uid, nil
}
