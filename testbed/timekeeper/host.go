package timekeeper

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// host reads what the kernel tells, from / or in tests from something like it.
type host struct{ root fs.FS }

// sample is what counts up since the host was started.
type sample struct {
	stolen, total uint64 // in ticks, over all processors
	throttled     time.Duration
}

func (h host) sample() sample {
	stolen, total := stolen(h.read("proc/stat"))
	return sample{stolen, total, h.throttled()}
}

// read returns a file, "" if there is none.
func (h host) read(name string) string {
	text, err := fs.ReadFile(h.root, name)
	if err != nil {
		return ""
	}
	return string(text)
}

// runnable returns how many tasks run or wait for a processor, this one
// included: the first part of the fourth field of /proc/loadavg.
func (h host) runnable() int {
	fields := strings.Fields(h.read("proc/loadavg"))
	if len(fields) < 4 {
		return 0
	}
	running, _, _ := strings.Cut(fields[3], "/")
	n, _ := strconv.Atoi(running)
	return max(0, n)
}

// stolen reads the first line of /proc/stat: "cpu" and the ticks in user, nice,
// system, idle, iowait, irq, softirq, steal; guest times, which follow, are part
// of the first two.
func stolen(stat string) (stolen, total uint64) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, 0
	}
	for _, field := range fields[1:9] {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return 0, 0
		}
		stolen, total = n, total+n
	}
	return stolen, total
}

// throttled returns for how long the limit of this process's control group has
// held it up: throttled_usec of version 2, throttled_time of version 1.
func (h host) throttled() (held time.Duration) {
	for line := range strings.Lines(h.read("proc/self/cgroup")) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		mounts := []string{""} // of version 2, where the list of controllers is empty
		if parts[1] != "" {
			if !slices.Contains(strings.Split(parts[1], ","), "cpu") {
				continue
			}
			mounts = []string{parts[1], "cpu"}
		}
		for _, mount := range mounts {
			stat := h.read(path.Join("sys/fs/cgroup", mount, parts[2], "cpu.stat"))
			held = max(held, throttledIn(stat))
		}
	}
	return held
}

func throttledIn(stat string) time.Duration {
	for line := range strings.Lines(stat) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseInt(value, 10, 64)
		switch {
		case err != nil:
		case name == "throttled_usec":
			return time.Duration(n) * time.Microsecond
		case name == "throttled_time":
			return time.Duration(n)
		}
	}
	return 0
}
