package heap

import (
	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/prometheus/procfs"
)

// ofHost tells what this host has. What it cannot tell is left out.
func ofHost() host {
	h := host{available: -1}
	if fs, err := procfs.NewDefaultFS(); err == nil {
		if m, err := fs.Meminfo(); err == nil && m.MemTotalBytes != nil && m.MemAvailableBytes != nil {
			h.total, h.available = int64(*m.MemTotalBytes), int64(*m.MemAvailableBytes)
		}
	}
	if limit, err := memlimit.FromCgroup(); err == nil {
		h.cgroup = int64(limit)
	}
	return h
}
