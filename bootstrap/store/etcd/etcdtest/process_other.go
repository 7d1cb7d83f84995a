//go:build !linux

package etcdtest

import "syscall"

// endsWithParent asks for nothing: only Linux ends a child with its parent.
func endsWithParent() *syscall.SysProcAttr { return nil }
