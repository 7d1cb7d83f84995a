package explore

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"peerlab/testbed"
)

// schedule is what happens to a cluster, from its start to the judgement.
type schedule struct {
	peers    []string
	settings []string // of the cluster line: rejoin=0, SuspicionMult=2
	steps    []step
}

// lines are the scenario's, without comments.
func (s schedule) lines() []string {
	lines := []string{strings.Join(append([]string{fmt.Sprintf("cluster %d", len(s.peers))}, s.settings...), " ")}
	for _, st := range s.steps {
		lines = append(lines, st.String())
	}
	return lines
}

func (s schedule) text() string { return strings.Join(s.lines(), "\n") + "\n" }

// with returns the schedule with other steps.
func (s schedule) with(steps []step) schedule {
	s.steps = steps
	return s
}

// situation is how the cluster is between two steps.
type situation struct {
	peers     []string
	begun     bool
	running   map[string]bool
	paused    map[string]bool
	throttled map[string]bool
	links     testbed.Links
	service   bool // the bootstrap service runs
	talking   bool // in the background
	touched   bool // anything was done to the cluster
	asked     judgement
	// met are those who have certainly seen each other in the chat, in their
	// present lives: From has seen To. owed are those to whom From has said something
	// since.
	met, owed map[testbed.Pair]bool
}

func newSituation(peers []string) *situation {
	return &situation{
		peers: peers, running: map[string]bool{}, paused: map[string]bool{}, throttled: map[string]bool{},
		links: testbed.Links{}, service: true, met: map[testbed.Pair]bool{}, owed: map[testbed.Pair]bool{},
	}
}

// link cuts or degrades links.
func (c *situation) link(s step) bool {
	var pairs []testbed.Pair
	for _, from := range s.who {
		for _, to := range s.to {
			pair := testbed.Pair{From: from, To: to}
			if from == to {
				return false
			}
			pairs = append(pairs, pair)
			if s.back {
				pairs = append(pairs, pair.Back())
			}
		}
	}
	if s.text == "" {
		c.links = c.links.Cut(pairs, testbed.DropAll)
		return true
	}
	change, err := testbed.ParseLinkChange(strings.Fields(s.text))
	if err != nil {
		return false
	}
	links, err := c.links.Set(pairs, change)
	if err != nil {
		return false
	}
	c.links = links
	return true
}

// meet has all that run meet in the chat.
func (c *situation) meet() {
	for _, from := range c.peers {
		for _, to := range c.peers {
			if from != to && c.running[from] && c.running[to] {
				c.met[testbed.Pair{From: from, To: to}] = true
			}
		}
	}
}

// restart begins new lives: they have met nobody, and nothing is owed to them.
func (c *situation) restart(names []string) {
	for _, of := range []map[testbed.Pair]bool{c.met, c.owed} {
		maps.DeleteFunc(of, func(p testbed.Pair, _ bool) bool {
			return slices.Contains(names, p.From) || slices.Contains(names, p.To)
		})
	}
}

// say has a peer say something to all it has met.
func (c *situation) say(name string) {
	for p := range c.met {
		if p.From == name {
			c.owed[p] = true
		}
	}
}

// do takes a step. It returns false for one that makes no sense, such as the
// kill of a peer that does not run.
func (c *situation) do(s step) bool {
	if s.lasts > 0 {
		s.lasts = 0
		links, paused := maps.Clone(c.links), maps.Clone(c.paused)
		ok := c.do(s)
		c.links = links
		switch s.verb {
		case kill, stop:
			c.do(step{verb: start, who: s.who})
		case pause:
			c.paused = paused
		}
		return ok
	}
	all := func(in map[string]bool, want bool) bool {
		return !slices.ContainsFunc(s.who, func(name string) bool { return in[name] != want })
	}
	each := func(in map[string]bool, to bool) {
		for _, name := range s.who {
			in[name] = to
		}
	}
	before := c.asked
	c.asked = nothing
	switch s.verb {
	case wait, say, join, await, check:
	default:
		c.touched = c.touched || c.begun
	}
	switch s.verb {
	case wait:
		if s.text != "" { // as long as everybody may take to see everybody
			c.meet()
		}
	case start:
		if len(s.who) == 0 {
			s.who = c.peers
		}
		c.begun = true
		c.restart(s.who)
		ok := all(c.running, false)
		each(c.running, true)
		return ok
	case stop, kill:
		ok := all(c.running, true)
		c.restart(s.who)
		each(c.running, false)
		each(c.paused, false)
		return ok
	case move:
		c.restart(s.who)
		each(c.running, true)
		each(c.paused, false)
		return c.begun
	case pause:
		ok := all(c.running, true) && all(c.paused, false)
		each(c.paused, true)
		return ok
	case resume:
		ok := all(c.paused, true)
		each(c.paused, false)
		return ok
	case throttle:
		each(c.throttled, s.text != unthrottled)
		return true
	case service:
		was := c.service
		c.service = s.text == "start"
		return was != c.service
	case partition:
		divided, err := c.links.Partition(s.who, s.to)
		if err != nil {
			return false
		}
		c.links = divided
		return true
	case link:
		return c.link(s)
	case heal:
		ok := len(c.links) > 0
		c.links = testbed.Links{}
		return ok
	case say:
		c.talking = c.talking || s.n > 1 && s.back
		if name := s.who[0]; c.running[name] && !c.paused[name] {
			c.say(name)
		}
		return c.running[s.who[0]]
	case join:
		c.talking = false
		return true
	case await, check:
		c.asked = s.judges
		if s.judges == together || s.judges == converged {
			c.meet()
		}
		return s.judges != promises || before == complete || before == promises
	}
	return true
}

// fair says whether the cluster can be expected to fulfill what is judged next:
// a shrinker that drops the heal of a partition proves nothing.
func (c *situation) fair(j judgement) bool {
	well := c.service
	for _, name := range c.peers {
		well = well && !c.paused[name] && !c.throttled[name]
	}
	switch j {
	case together:
		return !c.touched
	case converged:
		for _, name := range c.peers {
			well = well && c.running[name]
		}
		return well && len(c.links) == 0
	case complete, promises:
		return well && !c.talking && c.connected()
	}
	return true
}

// connected says whether those who run reach each other over healthy links, if
// need be through others.
func (c *situation) connected() bool {
	var rest, reached []string
	for _, name := range c.peers {
		if c.running[name] {
			rest = append(rest, name)
		}
	}
	if len(rest) < 2 {
		return false
	}
	reached, rest = rest[:1:1], rest[1:]
	for i := 0; i < len(reached); i++ {
		var far []string
		for _, name := range rest {
			pair := testbed.Pair{From: reached[i], To: name}
			if c.links[pair] == (testbed.Link{}) && c.links[pair.Back()] == (testbed.Link{}) {
				reached = append(reached, name)
			} else {
				far = append(far, name)
			}
		}
		rest = far
	}
	return len(rest) == 0
}

// sound says whether every step makes sense, and whether it is fair to fail
// the schedule for a failure of this kind.
func (s schedule) sound(because judgement) bool {
	c := newSituation(s.peers)
	judged := false
	for _, st := range s.steps {
		if (st.verb == await || st.verb == check) && !c.fair(st.judges) && because != always {
			return false
		}
		if !c.do(st) && because != always {
			return false
		}
		judged = judged || st.verb == await || st.verb == check
	}
	return c.begun && judged
}
