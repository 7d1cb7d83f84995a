package scenarios

import (
	"strings"
	"testing"

	"peerlab/observe"
)

// TestFaultsEndByThemselves has each fault last for a while, and what follows
// see that it did and that it is over.
func TestFaultsEndByThemselves(t *testing.T) {
	for _, tc := range []struct{ fault, during, after string }{
		{"pause bob", "lab.pause", "lab.resume>=1"},
		{"throttle bob 0.1", "lab.throttle", "lab.throttle=2"},
		{"bootstrap stop", "lab.stop", "lab.start=1 about bootstrap"},
		{"partition alice / rest", "lab.cut", "lab.heal=1"},
		{"cut alice <-> rest", "lab.cut", "lab.heal=1"},
		{"link alice <-> rest loss=100%", "lab.cut", "lab.heal=1"},
	} {
		t.Run(tc.fault, func(t *testing.T) {
			t.Parallel()
			after := strings.ReplaceAll(tc.after, " about bootstrap", "")
			text := three + "mark now\n" + tc.fault + " for=20s\ncheck events " + tc.during + ">=1\ncheck events " + after + "\nawait 1m all see 3 alive\n"
			res := play(t, text)
			if res.Verdict != observe.Pass {
				t.Errorf("%s: %s\n%s", res.Verdict, res.Reason, res.Story)
			}
			// Without an end it is still there.
			text = strings.Replace(text, " for=20s", "", 1)
			if res := play(t, text); res.Verdict != observe.Fail {
				t.Errorf("for good: %s: %s\n%s", res.Verdict, res.Reason, res.Story)
			}
		})
	}
	// What was in force before is so again.
	res := play(t, three+"link alice -> bob loss=1%\npartition alice / rest for=5s\ncheck events lab.link=2\ncheck events lab.heal=0\n")
	if res.Verdict != observe.Pass {
		t.Errorf("%s: %s\n%s", res.Verdict, res.Reason, res.Story)
	}
	if got := lint(t, "cluster 2\npause alice for=soon\n"); !strings.Contains(got, "2:13: ") {
		t.Error(got)
	}
}
