//go:build unix

package control

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// protectSocket keeps others from the socket fd.
func protectSocket(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) }

// lockDir keeps two peers that start together from each taking the other's
// fresh socket for a stale one. The kernel drops the lock with its holder.
// Where the lock cannot be had in a second, Listen goes on without.
func lockDir(dir string) (unlock func()) {
	f, err := os.Open(dir)
	if err != nil {
		return func() {}
	}
	for end := time.Now().Add(time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(end) {
			return func() { _ = f.Close() }
		}
	}
}
