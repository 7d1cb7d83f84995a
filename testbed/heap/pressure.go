package heap

import (
	"fmt"
	"runtime/metrics"
)

// usage is what the runtime tells of memory and of the collector's work.
type usage struct {
	taken      int64   // of the host, in bytes
	alive      int64   // after the last collection
	percent    int64   // GOGC
	collecting float64 // seconds of a processor spent on collecting, all in all
	working    float64 // the same on everything
}

// The metrics of runtime/metrics. Those of processors are brought up to date by
// each collection.
var names = [...]string{
	"/memory/classes/total:bytes",
	"/memory/classes/heap/released:bytes",
	"/gc/heap/live:bytes",
	"/gc/gogc:percent",
	"/cpu/classes/gc/total:cpu-seconds",
	"/cpu/classes/gc/mark/idle:cpu-seconds",
	"/cpu/classes/total:cpu-seconds",
	"/cpu/classes/idle:cpu-seconds",
}

func read() usage {
	samples := make([]metrics.Sample, len(names))
	for i, name := range names {
		samples[i].Name = name
	}
	metrics.Read(samples)
	bytes := func(i int) int64 { return int64(samples[i].Value.Uint64()) }
	seconds := func(i int) float64 { return samples[i].Value.Float64() }
	return usage{
		taken: bytes(0) - bytes(1), alive: bytes(2), percent: bytes(3),
		// What the collector does on a processor that nobody wants costs nothing.
		collecting: seconds(4) - seconds(5), working: seconds(6) - seconds(7) - seconds(5),
	}
}

// window is over how many seconds of a processor it is judged whether the
// collector takes too much of it.
const window = 5

// tooMuch is the share of the processor that collecting must not take. The runtime
// does not let it take more than a half.
const tooMuch = 0.35

// pressure tells when a program is short of memory: when the limit does not
// leave room for the garbage that there may be, and collecting it takes too much
// of the processor.
type pressure struct {
	began usage
	last  usage
	limit int64
	share float64
}

// add takes what the runtime tells now. It reports whether the program has been
// short of memory since it last reported anything.
func (p *pressure) add(u usage, limit int64) bool {
	p.last, p.limit = u, limit
	if float64(u.alive)*(1+float64(u.percent)/100) < float64(limit) {
		p.began = u
		return false
	}
	working := u.working - p.began.working
	if working < window {
		return false
	}
	p.share = (u.collecting - p.began.collecting) / working
	p.began = u
	return p.share >= tooMuch
}

// String says how short.
func (p *pressure) String() string {
	return fmt.Sprintf("short of memory: %s are in use, and this process may have %s: collecting garbage takes %.0f %% of its time. "+
		"Fewer peers, no-chat=true on the cluster line, --parallel 1 or a host with more memory help; GOMEMLIMIT sets another limit",
		GiB(p.last.alive), GiB(p.limit), 100*p.share)
}
