package scenarios

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"peerlab/observe"
	"peerlab/testbed"
	"peerlab/testbed/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// play runs the text of a scenario in virtual time.
func play(t *testing.T, text string) *Result {
	t.Helper()
	s, err := Parse("x.txt", text)
	if err != nil {
		t.Fatal(err)
	}
	return playAll(t, s)[0]
}

// playAll runs all arms of a scenario in virtual time.
func playAll(t *testing.T, s *Scenario) (results []*Result) {
	t.Helper()
	err := sim.Run(t.Context(), 1, func(ctx context.Context, f testbed.Factory) error {
		plans, err := s.Plans(ctx, f, "", nil)
		if err != nil {
			return err
		}
		for _, p := range plans {
			results = append(results, p.Run(ctx, f, Options{Progress: func(at time.Duration, line int, text string) {
				t.Logf("%9.3fs %3d %s", at.Seconds(), line, text)
			}}))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func TestStory(t *testing.T) {
	res := play(t, "cluster 3\nstart\nawait 10s all see 3 alive\n\nkill bob\nawait 1s alice sees bob dead\n")
	if res.Verdict != observe.Fail {
		t.Fatalf("%s: %s", res.Verdict, res.Reason)
	}
	for _, want := range []string{"x.txt:6:1: await 1s alice sees bob dead", "not within 1s", "alice sees bob alive", "lab.kill bob", "bob     alive"} {
		if !strings.Contains(res.Story, want) {
			t.Errorf("there is no %q in\n%s", want, res.Story)
		}
	}
	t.Log(res.Story)
}

// TestQuickRestartIsNoResurrection stops a peer again before all others have
// heard that it is back: the alive message that reaches them then is rightful.
func TestQuickRestartIsNoResurrection(t *testing.T) {
	const text = `cluster 5 profile=lan rejoin=0
start
await 60s all see 5 alive
stop charly
start charly
wait 300ms
stop charly
wait 5s
check membership
`
	for range 20 { // each differs: memberlist's own choices do not come from the seed
		if res := play(t, text); res.Verdict != observe.Pass {
			t.Fatalf("%s: %s\n%s", res.Verdict, res.Reason, res.Story)
		}
	}
}
