package peercred

import (
	"net"

	"golang.org/x/sys/unix"
)

func userOf(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var other *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		other, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, failed
	}
	return int(other.Uid), nil
}
