package docker

import (
	"fmt"
	"strconv"

	api "github.com/moby/moby/api/types/container"

	"peerlab/testbed/docker/adapter"
)

// What a peer's container may take of the host where neither Options nor its
// adapter say otherwise: several times what a peer of ours takes in a large
// cluster, and little enough that one which means harm stops nothing else.
const (
	DefaultMemory = 256 << 20 // bytes, swap included
	DefaultPIDs   = 128       // processes and threads
)

// The least that Options may ask for: Docker starts no container with less
// memory, and no Go program does with fewer threads.
const (
	minMemory = 6 << 20
	minPIDs   = 16
)

// limits are what a container may take: 0 is no limit.
type limits struct{ memory, pids int64 }

// Of the other containers. The agent holds a rule for each pair of peers, a
// million with 1,000 of them, which takes 2 GB.
var (
	bootstrapLimits = limits{DefaultMemory, DefaultPIDs}
	agentLimits     = limits{4 << 30, 128}
)

// peerLimits are those of a peer's container: of Options, else its adapter's,
// else the defaults.
func (m *making) peerLimits(start adapter.Container) limits {
	first := func(values ...int64) int64 {
		for _, v := range values {
			if v != 0 {
				return max(v, 0)
			}
		}
		return 0
	}
	return limits{first(m.Memory, start.Memory, DefaultMemory), first(m.PIDs, start.PIDs, DefaultPIDs)}
}

// CheckLimits returns an error for a Memory or PIDs with which no peer starts.
func (o *Options) CheckLimits() error {
	if o.Memory > 0 && o.Memory < minMemory {
		return fmt.Errorf("%d bytes of memory are too few for a container: want at least %d (6 MiB)", o.Memory, minMemory)
	}
	if o.PIDs > 0 && o.PIDs < minPIDs {
		return fmt.Errorf("%d processes and threads are too few for a peer: want at least %d", o.PIDs, minPIDs)
	}
	return nil
}

// resources are the limits in Docker's words. There is no swap beyond them: it
// would only make slow what is to end.
func (l limits) resources() api.Resources {
	r := api.Resources{Memory: l.memory, MemorySwap: l.memory}
	if l.pids > 0 {
		r.PidsLimit = &l.pids
	}
	return r
}

// environment tells a Go program of its limit, near which it then collects
// garbage instead of being killed.
func (l limits) environment() map[string]string {
	if l.memory == 0 {
		return nil
	}
	return map[string]string{"GOMEMLIMIT": strconv.FormatInt(l.memory/10*9, 10)}
}

// Sizes of the two files of a container's log, after which Docker drops the older
// one. Events are read from the logs of peers and agents: these are large.
const (
	eventLog = "512m"
	plainLog = "50m"
)

// logTo is the configuration of a log. The daemon adds its own options where
// there are none; those that could lose or delay events are all given here.
func logTo(size string) api.LogConfig {
	return api.LogConfig{Type: "json-file", Config: map[string]string{
		"max-size": size, "max-file": "2", "compress": "false", "mode": "blocking",
	}}
}
