//go:build !unix

package terminal

import "os"

// NotifyResize sends nothing: no signal tells of a change of size here.
func NotifyResize(chan<- os.Signal) {}
