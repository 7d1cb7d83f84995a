package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/docker/go-units"
	"github.com/spf13/pflag"

	"peerlab/testbed/docker"
)

// containerLimits are the flags for what the container of a peer may take, and
// for whether Docker looks after its health.
type containerLimits struct {
	memory memoryFlag
	pids   pidsFlag
	health bool
}

func (l *containerLimits) add(flags *pflag.FlagSet) {
	flags.Var(&l.memory, "memory", fmt.Sprintf("memory limit of each peer's container, a `SIZE` such as 512m or 1g; 0 for no limit (%s)", memoryFlag(docker.DefaultMemory)))
	flags.Var(&l.pids, "pids", fmt.Sprintf("limit of processes and threads in each peer's container, a number `N`; 0 for no limit (%d)", docker.DefaultPIDs))
	flags.BoolVar(&l.health, "health-checks", false, "let Docker run the images' health checks, each of which starts a process in the container")
}

// set puts them into the options of a cluster.
func (l *containerLimits) set(o *docker.Options) {
	o.Memory, o.PIDs, o.HealthChecks = int64(l.memory), int64(l.pids), l.health
}

// changed reports whether one of the flags was given.
func (l *containerLimits) changed() bool { return l.memory != 0 || l.pids != 0 || l.health }

// noLimit is what docker.Options has for 0 on the command line.
const noLimit = -1

// memoryFlag is a size in bytes as docker.Options has it: 0 if it was not given.
type memoryFlag int64

// Set implements pflag.Value.
func (f *memoryFlag) Set(text string) error {
	n, err := units.RAMInBytes(text)
	if err != nil || n < 0 {
		return errors.New("it must be a size such as 256m or 1g, or 0")
	}
	if *f = memoryFlag(n); n == 0 {
		*f = noLimit
	}
	return nil
}

// String implements pflag.Value.
func (f memoryFlag) String() string {
	switch {
	case f == 0:
		return ""
	case f < 0:
		return "0"
	case f%(1<<20) == 0:
		return fmt.Sprintf("%dm", int64(f)>>20)
	}
	return strconv.FormatInt(int64(f), 10)
}

// Type implements pflag.Value.
func (memoryFlag) Type() string { return "size" }

// pidsFlag is a number of processes as docker.Options has it: 0 if it was not
// given.
type pidsFlag int64

// Set implements pflag.Value.
func (f *pidsFlag) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return errors.New("it must be a number, or 0")
	}
	if *f = pidsFlag(n); n == 0 {
		*f = noLimit
	}
	return nil
}

// String implements pflag.Value.
func (f pidsFlag) String() string {
	switch {
	case f == 0:
		return ""
	case f < 0:
		return "0"
	}
	return strconv.FormatInt(int64(f), 10)
}

// Type implements pflag.Value.
func (pidsFlag) Type() string { return "number" }
