package sim

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// BlockedError says that a simulation cannot go on.
type BlockedError struct {
	Why string
	// Last is the last note in a cluster's history of whoever drives it, such as
	// a line of a scenario (testbed.LabMark), and the last thing that the engine
	// has done since.
	Last string
	// Who tells of everyone that waits, and where: the driver and peers.
	Who []string
	// Left is the error with which the driver had ended, if it had.
	Left error
}

// Error is one line for the cause and one for each who waits.
func (e *BlockedError) Error() string {
	var b strings.Builder
	b.WriteString(e.Why)
	if e.Last != "" {
		fmt.Fprintf(&b, ", after %s", e.Last)
	}
	for _, who := range e.Who {
		b.WriteString("\n  " + who)
	}
	if e.Left != nil {
		fmt.Fprintf(&b, "\n  before that: %v", e.Left)
	}
	return b.String()
}

// Unwrap returns what the driver had returned.
func (e *BlockedError) Unwrap() error { return e.Left }

// patience is for how long, in real time, nothing may happen in a simulation
// before it is looked at, and twice as long after each time that it was found
// at work, up to maxPatience: one that is large, on a machine that is busy, takes
// its time. To look at it stops the program and costs the more the more
// goroutines there are, so that before maxPatience it is looked at only if the
// program does nothing.
const (
	patience    = 2 * time.Second
	maxPatience = time.Minute
)

// guard waits for the end, and looks after a bubble that does not move: while a
// goroutine waits for a lock, or for the world outside, time stands still, and
// nobody else would tell.
func (s *simulation) guard(done <-chan error) error {
	w := watchdog{pause: patience, working: working, stuck: s.stuck}
	look := time.NewTimer(w.pause)
	defer look.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-look.C:
		}
		if w.look(s.ticks.Load()) {
			return s.blocked(w.why, nil)
		}
		look.Reset(w.pause)
	}
}

// watchdog decides when a simulation is stuck: when it is found so twice,
// patience apart, and nothing happened meanwhile.
type watchdog struct {
	pause      time.Duration // until the next look
	ticks      uint64        // at the last one
	suspicious bool          // it was stuck then
	working    func() bool   // cheap: whether the program does anything at all
	stuck      func() string // dear: why it cannot go on, if so
	why        string        // what stuck said
}

// look is called after each pause. It reports whether the simulation is stuck.
func (w *watchdog) look(ticks uint64) bool {
	switch {
	case ticks != w.ticks:
		w.ticks, w.suspicious = ticks, false
	case !w.suspicious && w.pause < maxPatience && w.working(), !w.found():
		w.suspicious, w.pause = false, min(2*w.pause, maxPatience)
	case w.suspicious:
		return true
	default:
		w.suspicious, w.pause = true, patience
	}
	return false
}

func (w *watchdog) found() bool {
	w.why = w.stuck()
	return w.why != ""
}

func (s *simulation) blocked(why string, left error) error {
	e := &BlockedError{Why: why, Who: s.waiting(), Left: left}
	if s.factory != nil {
		e.Last = s.factory.last()
	}
	return e
}

var (
	inBubble = regexp.MustCompile(`synctest bubble \d+`)
	header   = regexp.MustCompile(`(?m)^goroutine \d+ .*\[(.*)\]:$`)
)

// bubbleID returns what the stack traces of goroutines in this bubble say.
func bubbleID() string {
	buf := make([]byte, 4096)
	return inBubble.FindString(string(buf[:runtime.Stack(buf, false)]))
}

const (
	lockHeld = "deadlock: a goroutine waits for a lock whose holder waits for time to pass"
	outside  = "a goroutine waits for a channel, or a context, that was made outside the simulation: time stands still meanwhile"
)

// stuck says why time cannot pass, if every goroutine of the bubble waits and one
// or more of them for what the bubble knows nothing of.
func (s *simulation) stuck() string {
	id, _ := s.id.Load().(string)
	if id == "" {
		return ""
	}
	why := ""
	for _, m := range header.FindAllSubmatch(stacks(), -1) {
		states := strings.Split(string(m[1]), ", ")
		if !slices.Contains(states, id) {
			continue
		}
		switch state := states[0]; {
		case strings.HasPrefix(state, "sync.Mutex"), strings.HasPrefix(state, "sync.RWMutex"):
			why = lockHeld
		case strings.HasSuffix(state, "(durable)"), state == "synctest.Run":
		case state == "select", state == "chan receive", state == "chan send":
			if why == "" {
				why = outside
			}
		default:
			return ""
		}
	}
	return why
}

// working reports whether any goroutine of the program runs or could, besides the
// one that asks. The counts are no snapshot: true and false are both guesses.
func working() bool {
	counts := []metrics.Sample{{Name: "/sched/goroutines/runnable:goroutines"}, {Name: "/sched/goroutines/running:goroutines"}}
	metrics.Read(counts)
	return counts[0].Value.Uint64() > 0 || counts[1].Value.Uint64() > 1
}

func stacks() []byte {
	for size := 1 << 20; ; size *= 4 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size || size >= 256<<20 {
			return buf[:n]
		}
	}
}

const (
	simLabel  = "sim"
	peerLabel = "peer"
)

// label marks the goroutines that f starts as a peer's, or, without a name, as
// those of who drives the simulation.
func label(ctx context.Context, peer string, f func()) {
	pprof.Do(ctx, pprof.Labels(simLabel, bubbleID(), peerLabel, peer), func(context.Context) { f() })
}

// waiting says who waits where: the driver last.
func (s *simulation) waiting() []string {
	id, _ := s.id.Load().(string)
	var b bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&b, 1)
	peers := make(map[string][]string)
	for block := range strings.SplitSeq(b.String(), "\n\n") {
		if id == "" || !strings.Contains(block, fmt.Sprintf("%q:%q", simLabel, id)) {
			continue
		}
		name := "the driver"
		if m := peerOf.FindStringSubmatch(block); m != nil && m[1] != "" {
			name = m[1]
		}
		peers[name] = append(peers[name], place(profiled.FindAllStringSubmatch(block, -1)))
	}
	// What a timer started has no label.
	for block := range strings.SplitSeq(string(stacks()), "\n\n") {
		if m := header.FindStringSubmatch(block); m != nil && slices.Contains(strings.Split(m[1], ", "), id) && strings.Contains(block, "created by time.goFunc") {
			peers["a timer"] = append(peers["a timer"], place(traced.FindAllStringSubmatch(block, -1)))
		}
	}
	var who []string
	for name, places := range peers {
		// Who waits for a lock first: most of the others always wait.
		slices.SortFunc(places, func(a, b string) int {
			if d := strings.HasSuffix(a, forLock); d != strings.HasSuffix(b, forLock) {
				if d {
					return -1
				}
				return 1
			}
			return strings.Compare(a, b)
		})
		places = slices.Compact(places)
		const shown = 6
		if more := len(places) - shown; more > 0 {
			places = append(places[:shown], fmt.Sprintf("and %d more", more))
		}
		who = append(who, name+": "+strings.Join(places, "; "))
	}
	slices.SortFunc(who, func(a, b string) int {
		if d := strings.HasPrefix(b, "the driver"); d != strings.HasPrefix(a, "the driver") {
			if d {
				return 1
			}
			return -1
		}
		return strings.Compare(a, b)
	})
	const shown = 20
	if more := len(who) - shown; more > 0 {
		who = append(who[:shown], fmt.Sprintf("and %d more", more))
	}
	return who
}

const forLock = " for a lock"

var (
	peerOf = regexp.MustCompile(`"` + peerLabel + `":"([^"]*)"`)
	// The functions of a goroutine with their lines, in a profile and in a stack
	// trace.
	profiled = regexp.MustCompile(`(?m)^#\s+0x[0-9a-f]+\s+(\S+?)\+0x[0-9a-f]+\s+(\S+)$`)
	traced   = regexp.MustCompile(`(?m)^(\S+)\(.*\)\n\t(\S+)`)
)

// place is where a goroutine waits: for what, and the first line that is not of
// Go's own packages.
func place(frames [][]string) string {
	if len(frames) == 0 {
		return "?"
	}
	lock := ""
	for _, f := range frames {
		name, at := f[1], f[2]
		if strings.Contains(name, "Mutex") {
			lock = forLock
		}
		if !standard(name) {
			return fmt.Sprintf("%s (%s)%s", name[strings.LastIndex(name, "/")+1:], at[strings.LastIndex(at, "/")+1:], lock)
		}
	}
	name := frames[0][1]
	return name[strings.LastIndex(name, "/")+1:] + lock
}

// standard says whether a function is one of Go's own packages: their paths
// begin with no domain.
func standard(function string) bool {
	first, _, nested := strings.Cut(function, "/")
	if !nested {
		first, _, _ = strings.Cut(first, ".")
	}
	return first != "peerlab" && first != "main" && !strings.Contains(first, ".")
}
