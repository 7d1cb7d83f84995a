//go:build !linux && !darwin && !freebsd

package peercred

import (
	"errors"
	"net"
)

func userOf(*net.UnixConn) (int, error) { return 0, errors.ErrUnsupported }
