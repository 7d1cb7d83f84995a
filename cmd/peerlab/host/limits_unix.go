//go:build unix

package host

import (
	"fmt"
	"math"
	"syscall"
)

// openFiles is the limit of this program.
func openFiles() limit {
	const others = 64
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return limit{name: "open files", room: -1, has: err.Error()}
	}
	files := int(min(r.Cur, math.MaxInt32))
	return limit{
		name: "open files", room: max(files-others, 0) / filesPerPeer, has: fmt.Sprintf("%d for a program", files),
		mend: "raise it with ulimit -n before you start peerlab",
	}
}
