package docker

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// owner names the process something belongs to: host, process id and when
// that process started, because ids are used again.
type owner string

func thisProcess() owner {
	host, err := os.Hostname()
	if err != nil {
		host = "?" // no host has that name: never counts as gone
	}
	return owner(fmt.Sprintf("%s/%d/%s", host, os.Getpid(), startTime(os.Getpid())))
}

// startTime is in clock ticks since boot; empty for a process that is gone,
// or where there is no /proc.
func startTime(pid int) string {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return ""
	}
	// The second field, in parentheses, may hold anything.
	_, rest, _ := strings.Cut(string(stat), ") ")
	if fields := strings.Fields(rest); len(fields) > 19 {
		return fields[19]
	}
	return ""
}

// gone says whether o ran on this host and has ended.
func (o owner) gone() bool {
	part := strings.Split(string(o), "/")
	host, err := os.Hostname()
	if len(part) != 3 || err != nil || part[0] != host {
		return false
	}
	pid, err := strconv.Atoi(part[1])
	if err != nil || pid <= 0 {
		return false
	}
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	return startTime(pid) != part[2]
}

// newRun names one call of Create.
func newRun() string { return rand.Text() }
