package chat

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"peerlab/event"
	"peerlab/observe"
)

var (
	schedules = flag.Int("chat.schedules", 100, "random schedules to try")
	fixedSeed = flag.Uint64("chat.seed", 0, "try one schedule only: the one of this seed")
)

// world is a chat under faults, in virtual time. Membership is an oracle that
// tells of each change a while later, to each member at another time.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	net     *network
	names   []string
	inc     uint64
	flaws   flaws
	gossips bool
	trace   []string

	mu    sync.Mutex          // for what membership's timers use too
	now   map[string]*chatter // up
	lives []*life
	views map[string]map[string]Presence // of each, what membership tells it
}

type chatter struct {
	*Chat
	host *host
	life *life
}

func (w *world) logf(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%8s  ", time.Since(epoch).Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of a bubble

func (w *world) start(name string) {
	w.inc++
	h := w.net.listen(name)
	l := &life{name: name, incarnation: w.inc, began: time.Now(), log: event.NewLog(name, 1_000_000), up: true}
	o := Options{
		Name: name, Incarnation: w.inc, Listener: h, Events: l.log, flaws: w.flaws,
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			to, _, _ := strings.Cut(addr, "/")
			return w.net.dial(ctx, name, to)
		},
	}
	if w.gossips {
		o.Gossip = NewGossip(func() int { return len(w.names) }, 4)
	}
	c := Join(o)
	w.lives = append(w.lives, l)
	w.mu.Lock()
	w.now[name] = &chatter{c, h, l}
	w.views[name] = make(map[string]Presence)
	w.mu.Unlock()
	here := Presence{Name: name, Addr: fmt.Sprintf("%s/%d", name, w.inc), Incarnation: w.inc}
	for other := range w.now {
		if other == name {
			continue
		}
		w.tell(other, here, 2*time.Second)
		there := w.now[other].life
		w.tell(name, Presence{Name: other, Addr: fmt.Sprintf("%s/%d", other, there.incarnation), Incarnation: there.incarnation}, 500*time.Millisecond)
	}
}

// kill ends a member without a word.
func (w *world) kill(name string) {
	c := w.now[name]
	w.mu.Lock()
	delete(w.now, name)
	w.mu.Unlock()
	c.life.up, c.life.ended = false, time.Now()
	c.host.vanish()
	c.life.log.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c.Leave(ctx)
	for other := range w.now {
		w.tell(other, Presence{Name: name, Incarnation: c.life.incarnation}, 6*time.Second)
	}
}

// tell has membership tell a member something within d.
func (w *world) tell(to string, p Presence, d time.Duration) {
	c := w.now[to]
	after := time.Duration(w.rng.Int64N(int64(d)))
	time.AfterFunc(after, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.now[to] != c {
			return
		}
		view := w.views[to]
		if view[p.Name].Incarnation > p.Incarnation {
			return // older news
		}
		view[p.Name] = p
		var all []Presence
		for _, p := range view {
			all = append(all, p)
		}
		c.Update(all)
	})
}

func (w *world) pick() string {
	names := make([]string, 0, len(w.now))
	for _, name := range w.names {
		if w.now[name] != nil {
			names = append(names, name)
		}
	}
	return names[w.rng.IntN(len(names))]
}

// step does something at random.
func (w *world) step() {
	a, b := w.pick(), w.names[w.rng.IntN(len(w.names))]
	switch n := w.rng.IntN(100); {
	case n < 60:
		for range 1 + w.rng.IntN(3) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			id, err := w.now[a].Send(ctx, fmt.Sprintf("%s says %d", a, w.rng.Uint64()))
			cancel()
			w.logf("%s sends %s %v", a, id, err)
		}
	case n < 66 && len(w.now) > 3:
		w.logf("kill %s", a)
		w.kill(a)
	case n < 76:
		if w.now[b] == nil {
			w.start(b)
			w.logf("start %s/%d", b, w.inc)
		}
	case n < 82:
		if w.now[b] != nil && len(w.now) > 3 { // at once, nobody has noticed
			w.logf("restart %s", b)
			w.kill(b)
			w.start(b)
		}
	case n < 88:
		w.logf("cut %s -> %s", a, b)
		w.net.set(a, b, true)
	case n < 92:
		side := make(map[string]bool)
		for _, name := range w.names {
			side[name] = w.rng.IntN(2) == 0
		}
		dead := w.rng.IntN(2) == 0
		w.logf("partition %v, noticed: %v", side, dead)
		for _, x := range w.names {
			for _, y := range w.names {
				w.net.set(x, y, side[x] != side[y])
				if dead && side[x] != side[y] && w.now[x] != nil && w.now[y] != nil {
					w.tell(x, Presence{Name: y, Incarnation: w.now[y].life.incarnation}, 6*time.Second)
				}
			}
		}
	case n < 97:
		w.heal()
	default:
		w.logf("wait")
		time.Sleep(time.Duration(w.rng.Int64N(int64(10 * time.Second))))
	}
}

// gossip passes on what members gossip, as memberlist would: each to three at
// random, five times a second, in packets of which three in ten are lost.
func (w *world) gossip(ctx context.Context) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		w.mu.Lock()
		now := make(map[string]*chatter, len(w.now))
		for name, c := range w.now {
			now[name] = c
		}
		w.mu.Unlock()
		for name, c := range now {
			for range 3 {
				to := w.names[rand.IntN(len(w.names))]
				packet := c.Gossip.Broadcasts(3, 1400)
				cut, _ := w.net.state(name, to)
				if now[to] == nil || to == name || cut || rand.IntN(10) < 3 {
					continue
				}
				for _, message := range packet {
					now[to].Gossip.Receive(message)
				}
			}
		}
	}
}

// heal mends every link, and membership finds everybody again.
func (w *world) heal() {
	w.logf("heal")
	for _, x := range w.names {
		for _, y := range w.names {
			w.net.set(x, y, false)
		}
	}
	for x := range w.now {
		for y, c := range w.now {
			if x != y {
				w.tell(x, Presence{Name: y, Addr: fmt.Sprintf("%s/%d", y, c.life.incarnation), Incarnation: c.life.incarnation}, 3*time.Second)
			}
		}
	}
}

// schedule runs one random schedule and returns the promises it broke, and what
// happened.
func schedule(t *testing.T, seed uint64, peers, steps int, gossip bool, f flaws) (broken, trace []string) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t: t, rng: rand.New(rand.NewPCG(seed, 1)), net: newNetwork(), now: make(map[string]*chatter),
			views: make(map[string]map[string]Presence), flaws: f, gossips: gossip,
		}
		for i := range peers {
			w.names = append(w.names, string(rune('a'+i)))
		}
		for _, name := range w.names {
			w.start(name)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var gossiping sync.WaitGroup
		if gossip {
			gossiping.Go(func() { w.gossip(ctx) })
		}
		defer gossiping.Wait()
		defer cancel()
		time.Sleep(time.Duration(w.rng.Int64N(int64(4 * time.Second))))
		for range steps {
			w.step()
			time.Sleep(time.Duration(w.rng.Int64N(int64(time.Second))))
		}
		w.heal()
		time.Sleep(8 * time.Second) // whatever was still to be told
		w.heal()
		time.Sleep(90 * time.Second)
		for _, c := range w.now {
			if w.now[c.Name].life.log.Last() == 0 {
				t.Error("a member without events")
			}
		}
		broken, trace = promises(w.lives), w.trace
		if c := judged(t, w.lives); (c.Verdict == observe.Fail) != (len(broken) > 0) {
			broken = append(broken, "the check that peerlab has differs: "+c.String())
		}
		for name, c := range w.now {
			if len(broken) > 0 {
				c.mu.Lock()
				trace = append(trace, fmt.Sprintf("%s/%d settled %v held %d stats %+v", name, c.life.incarnation, c.settled, c.held.count, c.stats.Stats))
				c.mu.Unlock()
			}
			c.host.vanish()
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			c.Leave(ctx)
		}
	})
	return broken, trace
}

// Whatever happens to members and links, the promises hold for those that are
// up and connected in the end.
func TestPromisesUnderFaults(t *testing.T) {
	seeds := []uint64{*fixedSeed}
	if *fixedSeed == 0 {
		seeds = []uint64{1, 2, 3}
		for len(seeds) < *schedules {
			seeds = append(seeds, rand.Uint64())
		}
	}
	for _, seed := range seeds {
		broken, trace := schedule(t, seed, 8, 60, seed%2 == 0, flaws{})
		if len(broken) > 0 {
			slices.Sort(broken)
			t.Fatalf("seed %d: %d promises broken, such as\n%s\n%s", seed, len(broken),
				strings.Join(broken[:min(len(broken), 5)], "\n"), strings.Join(trace, "\n"))
		}
	}
}

// A protocol with a flaw is found out.
func TestFlawsAreFound(t *testing.T) {
	for name, test := range map[string]struct {
		flaws flaws
		want  string
	}{
		"no hold-back":    {flaws{noHoldback: true}, "causal order"},
		"no anti-entropy": {flaws{noSync: true}, "agreement"},
		"no dedupe":       {flaws{noDedupe: true}, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(100) {
				broken, _ := schedule(t, seed, 6, 40, seed%2 == 0, test.flaws)
				if i := slices.IndexFunc(broken, func(b string) bool { return strings.Contains(b, "differs") }); i >= 0 {
					t.Fatalf("seed %d: %s", seed, strings.Join(broken, "\n"))
				}
				if slices.ContainsFunc(broken, func(b string) bool { return strings.Contains(b, test.want) }) {
					t.Logf("found with seed %d", seed)
					return
				}
			}
			t.Errorf("not found: %s", test.want)
		})
	}
}

// Ids that are used again after a restart are found out: a state directory that
// does not keep the incarnation.
func TestReusedSequenceIsFound(t *testing.T) {
	state := t.TempDir()
	var lives []*life
	for range 2 {
		l := &life{name: "a", incarnation: 1, log: event.NewLog("a", 100)}
		l.began = time.Now()
		c := Join(Options{Name: "a", Incarnation: 1, Listener: newNetwork().listen("a"), Events: l.log, State: state, flaws: flaws{noPersist: true}})
		if _, err := c.SendKept(t.Context(), "hello"); err != nil {
			t.Fatal(err)
		}
		c.Leave(t.Context())
		l.ended = time.Now()
		lives = append(lives, l)
	}
	if broken := promises(lives); !slices.ContainsFunc(broken, func(b string) bool { return strings.Contains(b, "sent twice") }) {
		t.Errorf("not found: %q", broken)
	}
	c := judged(t, lives)
	if c.Verdict != observe.Fail || !strings.Contains(c.String(), "the number is used twice") {
		t.Errorf("the check that peerlab has does not find it: %s", c)
	}
}
