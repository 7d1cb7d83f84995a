// Package peercred tells which user is at the other end of a unix socket, by
// what the kernel says and not by what the other end says, and whether a
// directory is safe to have such a socket in.
//
// The kernel is asked with SO_PEERCRED on Linux and LOCAL_PEERCRED on macOS and
// FreeBSD. Elsewhere nobody can be asked: there the directory alone protects.
package peercred

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"time"

	"golang.org/x/time/rate"
)

// User returns the id of the user whose process connected to the socket, or
// listens on it. It is the id in the caller's user namespace. The error wraps
// errors.ErrUnsupported where the system cannot tell.
func User(conn net.Conn) (uid int, err error) {
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, fmt.Errorf("a %T has no user at the other end: %w", conn, errors.ErrUnsupported)
	}
	return userOf(unixConn)
}

// Verify returns an error unless the other end of the socket belongs to root or
// to the user uid. Where the system cannot tell it returns nil: use
// [CheckDirectory] as well.
func Verify(conn net.Conn, uid int) error {
	other, err := User(conn)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil
	case err != nil:
		return fmt.Errorf("find out whose process is at the other end of the socket: %w", err)
	case other != 0 && other != uid:
		return &StrangerError{UID: other}
	}
	return nil
}

// StrangerError says that a user who is not trusted has the other end.
type StrangerError struct{ UID int }

// Error returns a clause whose subject is the user.
func (e *StrangerError) Error() string {
	return fmt.Sprintf("user %d has the other end of the socket, neither root nor the user it is for", e.UID)
}

// refusalInterval bounds how often refused connections are logged: any local
// user can cause them.
const refusalInterval = time.Minute

// NewListener returns a listener that accepts connections of root and of the
// user uid, and closes all others, of which it logs one a minute.
func NewListener(l net.Listener, uid int, log *slog.Logger) net.Listener {
	return &listener{Listener: l, uid: uid, log: log, told: rate.Sometimes{Interval: refusalInterval}}
}

type listener struct {
	net.Listener
	uid  int
	log  *slog.Logger
	told rate.Sometimes
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if err = Verify(conn, l.uid); err == nil {
			return conn, nil
		}
		l.told.Do(func() { l.log.Warn("connection refused", "socket", l.Addr().String(), "err", err) })
		_ = conn.Close()
	}
}

// CheckDirectory returns an error unless dir belongs to the caller or to root
// and nobody else can write to it: whoever can, can put a socket of theirs in
// the place of ours. A sticky bit is no exception, for it does not keep others
// from being first.
func CheckDirectory(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, known := ownerOf(info)
	switch {
	case !info.IsDir():
		return &fs.PathError{Op: "open", Path: dir, Err: errors.New("not a directory")}
	case known && owner != 0 && owner != os.Getuid():
		return fmt.Errorf("directory %s belongs to user %d: choose one of your own", dir, owner)
	case known && info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others can write to the directory %s: choose one of your own", dir)
	}
	return nil
}
