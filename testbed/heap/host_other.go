//go:build !linux

package heap

import "github.com/KimMachineGun/automemlimit/memlimit"

// ofHost tells what this host has, of which half may be taken.
func ofHost() host {
	total, err := memlimit.FromSystem()
	if err != nil {
		return host{available: -1}
	}
	return host{total: int64(total), available: -1}
}
