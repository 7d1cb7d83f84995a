//go:build unix

package dockerd

import (
	"errors"
	"syscall"
)

// hasEnded reports whether no process has this id.
func hasEnded(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// outOfReach starts a process in a session of its own, which a Ctrl-C in the
// terminal does not reach.
func outOfReach() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
