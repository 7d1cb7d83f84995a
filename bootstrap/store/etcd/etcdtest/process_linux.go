package etcdtest

import "syscall"

// endsWithParent has a process not outlive a test binary that is killed.
func endsWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
