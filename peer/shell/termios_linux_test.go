package shell

import (
	"os"
	"syscall"
	"unsafe"
)

// getTermios reads the state of a terminal.
func getTermios(f *os.File, state *syscall.Termios) error {
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), syscall.TCGETS, uintptr(unsafe.Pointer(state)))
	if errno != 0 {
		return errno
	}
	return nil
}
