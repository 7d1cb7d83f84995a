package scenarios

import (
	"strings"
	"testing"

	"peerlab/observe"
	"peerlab/testbed"
)

// A repeat that cannot keep its rate says which it kept.
func TestRepeatTellsItsRate(t *testing.T) {
	for _, test := range []struct {
		name, line string
		want       string // in a note; empty: there is none
	}{
		{"in time", "repeat 5 every=1s alice echo {}", ""},
		{"without a pause", "repeat 5 alice sleep 1", ""},
		{"too slow", "repeat 5 every=100ms alice sleep 1", "5 lines in 4s, 1 a second instead of 10"},
		{"too slow in the background", "repeat 5 every=100ms alice sleep 1 &\nwait 20s", "5 lines in 4s, 1 a second instead of 10"},
		{"cut short", "repeat 50 every=100ms alice sleep 1 &\nwait 4500ms", "1 a second instead of 10"},
		{"once", "repeat 1 every=100ms alice sleep 1", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := play(t, "cluster 2\nstart\nawait 1m all see 2 alive\n"+test.line+"\n")
			if res.Verdict != observe.Pass {
				t.Fatalf("%s: %s", res.Verdict, res.Reason)
			}
			var noted []string
			for _, e := range res.Events {
				if e.Kind == testbed.LabMark && strings.HasPrefix(e.Text, "repeat: ") {
					noted = append(noted, e.Text)
				}
			}
			if test.want == "" && len(noted) > 0 || test.want != "" && (len(noted) != 1 || !strings.Contains(noted[0], test.want)) {
				t.Errorf("%q, want %q", noted, test.want)
			}
		})
	}
}
