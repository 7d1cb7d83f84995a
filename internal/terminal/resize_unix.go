//go:build unix

package terminal

import (
	"os"
	"os/signal"
	"syscall"
)

// NotifyResize sends a signal to c whenever the size of the terminal may have
// changed, until signal.Stop(c).
func NotifyResize(c chan<- os.Signal) { signal.Notify(c, syscall.SIGWINCH) }
