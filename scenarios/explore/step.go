package explore

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// step is one line of a schedule, with what a shrinker has to know of it.
type step struct {
	verb verb
	who  []string
	to   []string // the other side of a link, or the other group
	back bool     // a link's way back, too; what is said, in the background
	// text is what a link suffers, how many processors a throttled peer has,
	// whether the bootstrap service starts or stops, how long a wait is that the
	// theory knows (every is 0 then), or what is judged.
	text string
	// every and n are of what is said: n messages. every is how long a wait is.
	every time.Duration
	n     int
	// lasts is the time after which a fault is undone, and for which its line
	// lasts; 0 for a fault that stays.
	lasts time.Duration
	// judges says what an await or a check decides.
	judges judgement
}

type verb string

const (
	start     verb = "start"
	stop      verb = "stop"
	kill      verb = "kill"
	move      verb = "move"
	pause     verb = "pause"
	resume    verb = "resume"
	throttle  verb = "throttle"
	service   verb = "bootstrap"
	partition verb = "partition"
	link      verb = "link"
	heal      verb = "heal"
	wait      verb = "wait"
	say       verb = "say"
	join      verb = "join"
	await     verb = "await"
	check     verb = "check"
)

// judgement is what a line decides, and so what must be the case before it is
// fair to ask.
type judgement int

const (
	nothing   judgement = iota
	together            // the cluster has formed: nothing was done to it yet
	converged           // everybody holds everybody alive, after all faults
	complete            // whoever runs has what was said
	promises            // the chat's promises, judged of the history
	always              // what must hold whatever happens
)

// String is the line.
func (s step) String() string {
	if s.lasts > 0 {
		t := s
		t.lasts = 0
		return fmt.Sprintf("%s for=%s", t, short(s.lasts))
	}
	who, to := list(s.who), list(s.to)
	arrow := "->"
	if s.back {
		arrow = "<->"
	}
	switch s.verb {
	case partition:
		return fmt.Sprintf("partition %s / %s", who, to)
	case link:
		if s.text == "" {
			return fmt.Sprintf("cut %s %s %s", who, arrow, to)
		}
		return fmt.Sprintf("link %s %s %s %s", who, arrow, to, s.text)
	case wait:
		if s.text != "" {
			return fmt.Sprintf("wait %s", s.text)
		}
		return fmt.Sprintf("wait %s", short(s.every))
	case say:
		if s.n == 1 {
			return fmt.Sprintf("? %s msg %s", who, who)
		}
		line := fmt.Sprintf("? repeat %d every=%s %s msg '%s {}'", s.n, short(s.every), who, who)
		if s.back {
			line += " &"
		}
		return line
	}
	words := []string{string(s.verb)}
	if who != "" {
		words = append(words, who)
	}
	if s.text != "" {
		words = append(words, s.text)
	}
	return strings.Join(words, " ")
}

func list(names []string) string { return strings.Join(names, ",") }

// short writes a duration as people do: 1m, not 1m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// without returns the step for a cluster that lacks a peer; false if nothing is
// left of it.
func (s step) without(peer string) (step, bool) {
	lacks := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == peer })
	}
	who, to := lacks(s.who), lacks(s.to)
	if len(s.who) > 0 && len(who) == 0 || len(s.to) > 0 && len(to) == 0 {
		return s, false
	}
	s.who, s.to = who, to
	return s, true
}
