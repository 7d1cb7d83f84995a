package host

import (
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"

	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/neighbors"
)

// What one peer takes of a host, its container and the lab's attention
// included, with room to spare.
const (
	perPeer        = 48 << 20 // bytes
	threadsPerPeer = 32       // the peer's and its container's
	filesPerPeer   = 4        // of peerlab: its output, its probe
)

// limit is something of which a host has only so much.
type limit struct {
	name string
	room int // for so many peers, -1 if it cannot be told
	has  string
	mend string
}

// check reports whether there is room for so many peers.
func (l limit) check(peers int) Check {
	c := Check{Name: l.name, State: "ok", Found: fmt.Sprintf("%s: room for about %d peers", l.has, l.room)}
	switch {
	case l.room < 0:
		c.State, c.Found = "unknown", l.has
	case l.room < peers:
		c.State, c.Mend = "missing", l.mend
	}
	return c
}

// Limits reports whether the kernel, whose /proc is in root, and the limit of open
// files of this process leave room for so many peers.
func Limits(root fs.FS, peers int) []Check {
	checks := make([]Check, 0, 3)
	for _, l := range append(kernelLimits(root, peers), openFiles()) {
		checks = append(checks, l.check(peers))
	}
	return checks
}

// Memory reports whether a Docker daemon has memory for so many peers.
func Memory(about dockerd.About, peers int) Check {
	l := limit{
		name: "memory", room: int(about.Memory / perPeer),
		has:  fmt.Sprintf("%.1f GiB, %d processors", float64(about.Memory)/(1<<30), about.CPUs),
		mend: "give Docker more memory",
	}
	return l.check(peers)
}

// kernelLimits reads the limits of the kernel. A remedy it names is enough for
// needed peers.
func kernelLimits(root fs.FS, needed int) []limit {
	threads := limit{name: "threads", room: -1, has: "cannot be read"}
	if most, pids := readNumber(root, "proc/sys/kernel/threads-max"), readNumber(root, "proc/sys/kernel/pid_max"); most > 0 && pids > 0 {
		most = min(most, pids)
		threads.room, threads.has = most/threadsPerPeer, fmt.Sprintf("%d on this host", most)
		threads.mend = fmt.Sprintf("sudo sysctl -w kernel.threads-max=%d kernel.pid_max=%[1]d", needed*threadsPerPeer*2)
	}
	// The table is one for all containers, and each peer knows each other.
	arp := limit{name: "ARP table", room: -1, has: "cannot be read"}
	if t, err := neighbors.ReadThresholds(root); err == nil {
		arp.room, arp.has = t.Peers(), fmt.Sprintf("%d neighbors (gc_thresh3)", t.Most)
		arp.mend = "with more peers the table, which all containers share, is full and packets are lost: " + t.For(0, neighbors.Needed(needed)).Command() + ", or --tune-host of up and run"
	}
	return []limit{threads, arp}
}

func readNumber(root fs.FS, name string) int {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return n
}

// Ports looks at the ports that programs started by hand use by default, of which
// bootstrap is one. Containers use no port of the host.
func Ports(bootstrap string) []Check {
	var checks []Check
	for _, port := range []struct{ addr, whose, mend string }{
		{bootstrap, "bootstrap", "bootstrap --listen chooses another"},
		{"127.0.0.1:7946", "peer run", "peer run --bind chooses another"},
	} {
		c := Check{Name: "port " + port.addr, State: "ok", Found: "free for " + port.whose + " by hand"}
		l, err := net.Listen("tcp", port.addr)
		if err != nil {
			c.State, c.Found, c.Mend = "missing", "taken; containers do not need it, "+port.whose+" by hand would", port.mend
		} else {
			_ = l.Close()
		}
		checks = append(checks, c)
	}
	return checks
}

// ContainerLimits reports whether the kernel can limit what containers use.
func ContainerLimits(about dockerd.About) Check {
	c := Check{Name: "limits", State: "ok", Found: "memory and processes of containers"}
	var lacks []string
	if !about.MemoryLimit {
		lacks = append(lacks, "memory")
	}
	if !about.PIDsLimit {
		lacks = append(lacks, "pids")
	}
	if len(lacks) > 0 {
		c.State, c.Found = "missing", "containers can use everything: the kernel has no control group for "+strings.Join(lacks, ", ")
		c.Mend = "boot it with cgroup_enable=memory, or one with CONFIG_MEMCG and CONFIG_CGROUP_PIDS"
	}
	return c
}
