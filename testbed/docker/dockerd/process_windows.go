package dockerd

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// hasEnded reports whether no process has this id.
func hasEnded(pid int) bool {
	process, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(pid))
	if err != nil {
		return err == windows.ERROR_INVALID_PARAMETER // others mean that it may not be looked at
	}
	defer func() { _ = windows.CloseHandle(process) }()
	event, err := windows.WaitForSingleObject(process, 0)
	return err == nil && event == windows.WAIT_OBJECT_0
}

// outOfReach starts a process in a group of its own, which a Ctrl-C in the
// console does not reach.
func outOfReach() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
}
