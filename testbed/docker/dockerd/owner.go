package dockerd

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Owner names the process something belongs to: its host, its id and when it
// started, because ids are used again; the namespace in which it has that id; and
// the boot of the host, and the machine, for the host's name may be another's, too.
type Owner string

// Fields of an owner, separated by slashes.
const (
	ownerHost = iota
	ownerPID
	ownerStart
	ownerNamespace
	ownerBoot
	ownerMachine
	ownerFields
)

// ThisProcess returns the owner of what this process makes.
func ThisProcess() Owner {
	host, err := os.Hostname()
	if err != nil {
		host = "?" // no host has that name: never counts as gone
	}
	fields := make([]string, ownerFields)
	fields[ownerHost] = host
	fields[ownerPID] = strconv.Itoa(os.Getpid())
	fields[ownerStart] = startTime(os.Getpid())
	// Empty where there is no /proc.
	fields[ownerNamespace], _ = os.Readlink("/proc/self/ns/pid")
	fields[ownerBoot] = readLine("/proc/sys/kernel/random/boot_id")
	fields[ownerMachine] = machine()
	return Owner(strings.Join(fields, "/"))
}

// machine tells this machine from others of its name: a hash of its id, which is
// not for others to know (machine-id(5)); empty where it has none.
func machine() string {
	id := readLine("/etc/machine-id")
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("peerlab " + id))
	return hex.EncodeToString(sum[:8])
}

func readLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
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

// gone reports whether o ran on this host and has ended. A process of another
// namespace, which may be that of a container, does not count as gone: its id
// means nothing here.
func (o Owner) gone() bool {
	owned, here := strings.Split(string(o), "/"), strings.Split(string(ThisProcess()), "/")
	if len(owned) != ownerFields || len(here) != ownerFields || here[ownerHost] == "?" ||
		owned[ownerHost] != here[ownerHost] || owned[ownerNamespace] != here[ownerNamespace] {
		return false
	}
	pid, err := strconv.Atoi(owned[ownerPID])
	if err != nil || pid <= 0 {
		return false
	}
	if owned[ownerBoot] != here[ownerBoot] { // before this boot, or on another machine
		return owned[ownerMachine] != "" && owned[ownerMachine] == here[ownerMachine]
	}
	if hasEnded(pid) {
		return true
	}
	return startTime(pid) != owned[ownerStart]
}

// NewRunID names one call of Create.
func NewRunID() string { return rand.Text() }
