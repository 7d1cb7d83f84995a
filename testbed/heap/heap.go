// Package heap sets Go's garbage collector for a program that simulates: at a
// pace at which simulations are fast, and within the memory that this host has
// free.
package heap

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"sync"
	"time"
)

// Percent is how much garbage there may be before it is collected, in parts of a
// hundred of what is alive. Much of what is allocated in virtual time is garbage
// immediately.
const Percent = 400

// interval is how often the memory that is free is looked at.
const interval = time.Second

// Settings are those of the collector, which are the whole process's, while a
// program simulates.
type Settings struct {
	percent int   // before
	limit   int64 // before
	own     bool  // the limit is not the user's

	mu   sync.Mutex
	now  int64 // the limit now
	stop chan struct{}
	done chan struct{}
}

// Set sets the collector to Percent, and its memory limit to what the process
// has and the host has free but for an eighth of all its memory, which it leaves
// to others; a limit of the process's cgroup (v1 or v2) counts, too. It follows
// what others take and leave, so several such programs share a host. All runs in
// the process share the limit. GOGC and GOMEMLIMIT in the environment stay in
// force.
//
// The collector goes beyond the limit rather than stop the program. Then tell is
// called, once and by a goroutine of its own, with a line that says that the
// program is short of memory.
//
// Restore ends it. There must not be two Settings at the same time.
func Set(tell func(text string)) *Settings {
	s := &Settings{limit: debug.SetMemoryLimit(-1), stop: make(chan struct{}), done: make(chan struct{})}
	s.percent = debug.SetGCPercent(Percent)
	if os.Getenv("GOGC") != "" {
		debug.SetGCPercent(s.percent)
	}
	s.own, s.now = os.Getenv("GOMEMLIMIT") == "", s.limit
	s.follow(read())
	go s.watch(tell)
	return s
}

// Restore puts back what was set before Set, and returns when nothing of it goes on.
func (s *Settings) Restore() {
	close(s.stop)
	<-s.done
	debug.SetGCPercent(s.percent)
	debug.SetMemoryLimit(s.limit)
}

// Limit returns how much memory the process may have now, in bytes;
// math.MaxInt64 for any.
func (s *Settings) Limit() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *Settings) watch(tell func(string)) {
	defer close(s.done)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var p pressure
	told := false
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		u := read()
		s.follow(u)
		if short := p.add(u, s.Limit()); short && !told {
			told = true
			tell(p.String())
		}
	}
}

// follow sets the limit by the memory that is free. To set it stops the program
// for a moment, so that small changes are left.
func (s *Settings) follow(u usage) {
	if !s.own {
		return
	}
	limit := allowed(u.taken, ofHost())
	s.mu.Lock()
	defer s.mu.Unlock()
	if change := math.Abs(float64(limit - s.now)); change < float64(s.now)/50 {
		return
	}
	s.now = limit
	debug.SetMemoryLimit(limit)
}

// host is what a host has of memory, in bytes.
type host struct {
	total     int64 // 0 if it is not known
	available int64 // without swapping; below 0 if it is not known
	cgroup    int64 // what this process's cgroup may have; 0 for no limit
}

// least is the smallest limit that is set.
const least = 256 << 20

// allowed returns the limit for a process that has taken so much.
func allowed(taken int64, h host) int64 {
	limit := int64(math.MaxInt64)
	switch {
	case h.total > 0 && h.available >= 0:
		limit = taken + h.available - h.total/8
	case h.total > 0:
		limit = h.total / 2
	}
	if h.cgroup > 0 { // of which stacks of C and the page cache take something
		limit = min(limit, h.cgroup/10*9)
	}
	return max(limit, least)
}

// GiB writes a number of bytes for people.
func GiB(bytes int64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }
