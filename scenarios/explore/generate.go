package explore

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"peerlab/peer/chat"
	"peerlab/testbed"
)

// Shape says what schedules to make.
type Shape struct {
	Peers int           // 2 to testbed.MaxPeers
	For   time.Duration // of faults and traffic, without the wait for the end
	// Settings are those of a scenario's cluster line, such as rejoin=0.
	Settings []string
	// Checks are what is judged in the end: views (everybody holds everybody
	// alive within the bounds of theory), and checks of package observe. None
	// means all.
	Checks []string
	// Shaping adds delay, duplicates and reordering, which need netem on Docker.
	Shaping bool
}

const (
	unthrottled = "off"
	// forming is how long a cluster has to form: whom gossip missed hears of the
	// others in a push/pull, unless its partner was missed, too.
	forming = "$PUSHPULL*4 all see $N alive"
	// settling is how long views take to converge after the last fault, at most:
	// a suspicion under way may still come to its end; whoever is held dead
	// wrongly is contacted within one and a half rejoin intervals, tried once
	// in vain before, and for what gossip missed there are two push/pulls.
	settling = "$SUSPICION_MAX+$PUSHPULL*2+20s"
	// resettling is settling after somebody has moved: others first have to
	// find it dead at its former address and forget it there.
	resettling = "$SUSPICION_MAX+$PUSHPULL*2+20s+$DETECT_MAX+$FORGET"
	// catching is how long the chat then has.
	catching = "+30s"
	// meeting is how long those who hold each other alive have to meet in the chat.
	meeting = 30 * time.Second
	// reserved is how many messages are kept for owe.
	reserved = 1
)

// author makes a schedule from random choices.
type author struct {
	*rand.Rand
	shape Shape
	now   *situation
	moved bool
	left  int // messages that may still be said
	steps []step
}

// generate makes the schedule of a seed: the same one each time.
func generate(seed uint64, shape Shape) schedule {
	a := &author{Rand: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)), shape: shape, left: chat.DefaultHistory - reserved}
	s := schedule{peers: testbed.Names(shape.Peers), settings: shape.Settings}
	a.now = newSituation(s.peers)
	a.add(step{verb: start})
	a.add(step{verb: await, text: forming, judges: together})
	for _, name := range a.some(1 + a.IntN(3)) {
		a.talk(name, shape.For)
	}
	for left := shape.For; left > 0; {
		gap := min(a.gap(), left)
		a.add(step{verb: wait, every: gap})
		if left -= gap; left > 0 {
			a.fault(left)
		}
	}
	a.finish()
	s.steps = a.steps
	return s
}

func (a *author) add(s step) {
	a.now.do(s)
	a.steps = append(a.steps, s)
}

// gap is the time to the next fault: often so short that what the last one
// began is still under way, sometimes long enough for suspicion to end.
func (a *author) gap() time.Duration {
	switch n := a.IntN(10); {
	case n < 3:
		return time.Duration(1+a.IntN(15)) * 100 * time.Millisecond
	case n < 7:
		return time.Duration(2+a.IntN(13)) * time.Second
	}
	return time.Duration(15+a.IntN(60)) * time.Second
}

// some returns that many peers, in the order of the cluster.
func (a *author) some(n int) []string { return a.of(a.now.peers, n) }

func (a *author) of(names []string, n int) []string {
	names = slices.Clone(names)
	a.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	names = names[:min(n, len(names))]
	slices.SortFunc(names, func(x, y string) int { return slices.Index(a.now.peers, x) - slices.Index(a.now.peers, y) })
	return names
}

// which returns the peers for which is holds.
func (a *author) which(is func(name string) bool) (names []string) {
	for _, name := range a.now.peers {
		if is(name) {
			names = append(names, name)
		}
	}
	return names
}

// sides splits the peers in two.
func (a *author) sides() (one, other []string) {
	one = a.some(1 + a.IntN(len(a.now.peers)-1))
	return one, a.which(func(name string) bool { return !slices.Contains(one, name) })
}

// talk has a peer say something, now and then, for as long as d. All that is said
// in a schedule stays within what each peer keeps: who is away for longer is
// not owed what it then misses, and that is no bug to find.
func (a *author) talk(name string, d time.Duration) {
	every := []time.Duration{500 * time.Millisecond, time.Second, 3 * time.Second}[a.IntN(3)]
	share := a.left / 3
	if share < 2 {
		return
	}
	if least := d / time.Duration(share); every < least {
		every = (least + 99*time.Millisecond).Truncate(100 * time.Millisecond)
	}
	if n := int(d / every); n > 1 {
		a.left -= n
		a.add(step{verb: say, who: []string{name}, n: n, every: every, back: true})
	}
}

// choice is a fault that is possible now, and how much it is wanted.
type choice struct {
	weight int
	do     func()
}

// fault adds one. What overlaps with what is already wrong is the more likely
// one: a kill in a partition, a return at a new address behind a cut.
func (a *author) fault(left time.Duration) {
	acting := a.which(func(name string) bool { return a.now.running[name] && !a.now.paused[name] })
	paused := a.which(func(name string) bool { return a.now.paused[name] })
	down := a.which(func(name string) bool { return !a.now.running[name] })
	slow := a.which(func(name string) bool { return a.now.throttled[name] })
	apart := len(a.now.links) > 0
	overlap := func(weight int) int {
		if apart || len(paused)+len(down) > 0 {
			return 2 * weight
		}
		return weight
	}
	one := func(of []string) []string { return a.of(of, 1) }
	var choices []choice
	add := func(possible bool, weight int, do func()) {
		if possible {
			choices = append(choices, choice{weight, do})
		}
	}
	more := len(acting) > 2
	add(more, overlap(4), func() { a.add(step{verb: kill, who: a.of(acting, 1+a.IntN(min(2, len(acting)-2)))}) })
	add(more, 1, func() { a.add(step{verb: stop, who: one(acting)}) })
	add(more, overlap(3), func() { a.add(step{verb: pause, who: one(acting)}) })
	add(len(paused) > 0, 5, func() { a.add(step{verb: resume, who: one(paused)}) })
	add(len(paused) > 0, 2, func() { a.add(step{verb: kill, who: one(paused)}) })
	add(len(down) > 0, 6, func() { a.back(start, one(down), left) })
	add(len(down) > 0, 3, func() { a.back(move, one(down), left) })
	add(more, 1, func() { a.back(move, one(acting), left) })
	add(true, 4, func() {
		one, other := a.sides()
		a.add(step{verb: partition, who: one, to: other})
	})
	add(true, overlap(3), func() {
		one, other := a.sides()
		a.add(step{verb: link, who: a.of(one, 3), to: a.of(other, 3), back: a.IntN(3) == 0})
	})
	add(true, 3, func() {
		one, other := a.sides()
		a.add(step{verb: link, who: one, to: other, back: true, text: a.degraded()})
	})
	add(apart, 5, func() { a.add(step{verb: heal}) })
	add(more, 1, func() {
		a.add(step{verb: throttle, who: one(acting), text: []string{"0.01", "0.02", "0.1"}[a.IntN(3)]})
	})
	add(len(slow) > 0, 2, func() { a.add(step{verb: throttle, who: one(slow), text: unthrottled}) })
	add(a.now.service, 1, func() { a.add(step{verb: service, text: "stop"}) })
	add(!a.now.service, 3, func() { a.add(step{verb: service, text: "start"}) })
	add(len(acting) > 0 && a.left > 0, 3, func() {
		a.left--
		a.add(step{verb: say, who: one(acting), n: 1})
	})

	sum := 0
	for _, c := range choices {
		sum += c.weight
	}
	n := a.IntN(sum)
	for _, c := range choices {
		if n -= c.weight; n < 0 {
			c.do()
			return
		}
	}
}

// back brings a peer back, which then may talk again.
func (a *author) back(how verb, who []string, left time.Duration) {
	a.moved = a.moved || how == move
	a.add(step{verb: how, who: who})
	if a.IntN(3) == 0 {
		// Its line must not be refused because it is not in the chat yet.
		gap := 2 * time.Second
		if left > 2*gap {
			a.add(step{verb: wait, every: gap})
			a.talk(who[0], left-2*gap)
		}
	}
}

// degraded is what links suffer that carry something still.
func (a *author) degraded() string {
	all := []string{"loss=30%", "loss=30%", "loss=10%", "drop=udp", "drop=tcp", "over=500"}
	if a.shape.Shaping {
		all = append(all, "delay=200ms±150ms", "delay=1s", "duplicate=20%", "delay=20ms reorder=20%")
	}
	return all[a.IntN(len(all))]
}

// finish makes everything well again, and judges.
func (a *author) finish() {
	if len(a.now.links) > 0 {
		a.add(step{verb: heal})
	}
	if !a.now.service {
		a.add(step{verb: service, text: "start"})
	}
	if who := a.which(func(name string) bool { return a.now.paused[name] }); len(who) > 0 {
		a.add(step{verb: resume, who: who})
	}
	if who := a.which(func(name string) bool { return a.now.throttled[name] }); len(who) > 0 {
		a.add(step{verb: throttle, who: who, text: unthrottled})
	}
	if who := a.which(func(name string) bool { return !a.now.running[name] }); len(who) > 0 {
		a.add(step{verb: start, who: who})
	}
	if a.now.talking {
		a.add(step{verb: join})
	}
	limit := settling
	if a.moved {
		limit = resettling
	}
	for _, name := range a.shape.Checks {
		switch name {
		case Views:
			a.add(step{verb: await, text: limit + " all see $N alive", judges: converged})
		case "chat":
			a.owe(limit)
			a.add(step{verb: await, text: limit + catching + " chat complete", judges: complete})
			a.add(step{verb: check, text: name, judges: promises})
		default:
			a.add(step{verb: check, text: name, judges: always})
		}
	}
}

// owe makes sure that a message is owed to somebody, without which the chat
// cannot be judged: if those who have talked, or all who were to hear it, have
// been restarted since, somebody says something once all have met. Otherwise
// nothing is said: a message tells of those before it that did not arrive.
func (a *author) owe(limit string) {
	if len(a.now.owed) > 0 {
		return
	}
	if len(a.now.met) == 0 {
		a.add(step{verb: wait, text: limit})
	}
	a.add(step{verb: wait, every: meeting})
	authors := a.which(func(name string) bool {
		for p := range a.now.met {
			if p.From == name {
				return true
			}
		}
		return false
	})
	a.add(step{verb: say, who: a.of(authors, 1), n: 1})
}

// Check says what is wrong with a shape.
func (s Shape) Check() error {
	if s.Peers < 3 || s.Peers > testbed.MaxPeers {
		return fmt.Errorf("peers %d: want 3 to %d", s.Peers, testbed.MaxPeers)
	}
	if s.For < time.Second || s.For > longest {
		return fmt.Errorf("for %s: want 1s to %s", s.For, short(longest))
	}
	known := Checks()
	for i, name := range s.Checks {
		if !slices.Contains(known, name) {
			return fmt.Errorf("there is no check %q: there are %s", name, strings.Join(known, ", "))
		}
		if slices.Contains(s.Checks[:i], name) {
			return fmt.Errorf("check %s is there twice", name)
		}
	}
	for _, word := range s.Settings {
		if strings.ContainsAny(word, " \t\n'#$") || !strings.Contains(word, "=") {
			return fmt.Errorf("%q: want key=value, as in a scenario's cluster line", word)
		}
	}
	return nil
}

const longest = 24 * time.Hour
