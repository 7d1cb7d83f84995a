package explore

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"peerlab/peer/chat"
	"peerlab/scenarios"
	"peerlab/testbed"
	"peerlab/testbed/sim"
)

// A seed makes the same schedule each time, which is a scenario that lint has
// nothing against, and which does what it says it does.
func TestSchedules(t *testing.T) {
	seen := make(map[verb]int)
	for seed := range uint64(50) {
		shape := Shape{Peers: 3 + int(seed%8), For: 10 * time.Minute, Checks: Checks(), Shaping: seed%2 == 0}
		s := generate(seed, shape)
		if again := generate(seed, shape); again.text() != s.text() {
			t.Fatalf("seed %d makes two schedules", seed)
		}
		said := 0
		for _, st := range s.steps {
			seen[st.verb]++
			said += st.n
		}
		if said > chat.DefaultHistory {
			t.Errorf("seed %d: %d messages: some will be given up, as the chat promises", seed, said)
		}
		if !s.sound(converged) {
			t.Errorf("seed %d: unsound\n%s", seed, s.text())
		}
		sc, err := scenarios.Parse("x.txt", s.text())
		if err != nil {
			t.Fatal(err)
		}
		err = sim.Run(t.Context(), 1, func(ctx context.Context, f testbed.Factory) error {
			_, err := sc.Plans(ctx, f, "", nil)
			return err
		})
		if err != nil {
			t.Errorf("seed %d: %v\n%s", seed, err, s.text())
		}
	}
	for _, v := range []verb{start, stop, kill, move, pause, resume, throttle, service, partition, link, heal, wait, say, join, await, check} {
		if seen[v] < 10 {
			t.Errorf("%s came %d times", v, seen[v])
		}
	}
}

// Whatever is judged of the chat, somebody has said something to somebody who
// still runs, and both had met before: else nothing is owed to anybody, and the
// chat's promises cannot be told.
func TestSomebodyIsOwedAMessage(t *testing.T) {
	for seed := range uint64(3000) {
		shape := Shape{Peers: 3 + int(seed%8), For: []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute}[seed%3], Checks: [][]string{Checks(), {"chat"}, {"chat", Views}}[seed/3%3]}
		s := generate(seed, shape)
		c, said, judged := newSituation(s.peers), 0, 0
		for _, st := range s.steps {
			said += st.n
			if st.judges == complete || st.judges == promises {
				judged++
				if len(c.owed) == 0 {
					t.Errorf("seed %d: nothing is owed to anybody\n%s", seed, s.text())
					break
				}
			}
			c.do(st)
		}
		if judged == 0 || said > chat.DefaultHistory || !s.sound(promises) {
			t.Errorf("seed %d: %d judgements, %d messages\n%s", seed, judged, said, s.text())
		}
		if t.Failed() && !testing.Verbose() {
			break
		}
	}
}

// What a shrinker may leave is only what is fair to fail.
func TestSound(t *testing.T) {
	names := testbed.Names(3)
	whole := []step{
		{verb: start},
		{verb: await, text: forming, judges: together},
		{verb: say, who: names[:1], n: 10, every: time.Second, back: true},
		{verb: partition, who: names[:1], to: names[1:]},
		{verb: kill, who: names[1:2]},
		{verb: pause, who: names[2:]},
		{verb: heal},
		{verb: start, who: names[1:2]},
		{verb: resume, who: names[2:]},
		{verb: join},
		{verb: await, text: "1m all see $N alive", judges: converged},
		{verb: await, text: "1m chat complete", judges: complete},
		{verb: check, text: "chat", judges: promises},
	}
	s := schedule{peers: names, steps: whole}
	if !s.sound(promises) {
		t.Fatal("the whole is not sound")
	}
	for i, st := range whole {
		rest := s.with(slices.Concat(whole[:i], whole[i+1:]))
		optional := st.verb == say || st.judges == together || st.judges == converged || st.judges == promises
		if rest.sound(promises) != optional {
			t.Errorf("without %q: sound is %v", st, !optional)
		}
	}
	// What was cut for good is fine if there is a way around, for the chat.
	around := s.with([]step{
		whole[0], whole[1],
		{verb: link, who: names[:1], to: names[1:2], back: true},
		whole[11],
	})
	if !around.sound(complete) {
		t.Error("a way around does not count")
	}
	if around.with(append(around.steps[:3:3], whole[10])).sound(converged) {
		t.Error("views need not converge while links are cut")
	}
}

func TestShapesThatCannotBe(t *testing.T) {
	for want, shape := range map[string]Shape{
		"want 3 to":          {Peers: 2, For: time.Minute},
		"want 1s to":         {Peers: 3},
		"there is no check":  {Peers: 3, For: time.Minute, Checks: []string{"chess"}},
		"is there twice":     {Peers: 3, For: time.Minute, Checks: []string{"chat", "chat"}},
		"want key=value":     {Peers: 3, For: time.Minute, Settings: []string{"rejoin"}},
		"SuspicionMul":       {Peers: 3, For: time.Minute, Settings: []string{"SuspicionMul=1"}},
		"a peer has no sett": {Peers: 3, For: time.Minute, Settings: []string{"rejion=1s"}},
	} {
		_, err := Search(t.Context(), Options{Shape: shape, Host: sim.Run, Runs: 2})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", shape, err, want)
		}
	}
}
