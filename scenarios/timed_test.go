package scenarios

import (
	"strings"
	"testing"

	"peerlab/observe"
)

// A fault with a time is undone after it, and nothing else is.
func TestTimedFaults(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"partition": {three + "partition alice / rest for=1m\ncheck alice sees rest gone\nawait 1m all see 3 alive\n", ""},
		"pause":     {three + "pause bob for=$SUSPICION_MAX+10s\nawait 1m all see 3 alive\n", ""},
		"kill":      {three + "kill bob for=1s\nawait 1m all see 3 alive\nawait 1s events peer.started=4\n", ""},
		"links before stay": {
			three + "cut alice <-> rest\nlink bob -> charly loss=50% for=1s\nwait 30s\ncheck alice sees rest dead\ncheck bob sees charly alive\n", "",
		},
		"it is undone": {three + "partition alice / rest for=1s\nawait $DETECT_MAX*2 alice sees rest dead\n", "alice sees bob alive"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := play(t, test.text)
			if test.want == "" && res.Verdict != observe.Pass || test.want != "" && !strings.Contains(res.Reason, test.want) {
				t.Errorf("%s, want %q\n%s", res.Verdict, test.want, res.Story)
			}
		})
	}
	s, err := Parse("x.txt", three+"pause bob for=soon\nheal for=1s\n")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Plans(t.Context(), nil, "", nil)
	if err == nil || !strings.Contains(err.Error(), `x.txt:4:11: "soon"`) || !strings.Contains(err.Error(), "x.txt:5") {
		t.Errorf("lint says %v", err)
	}
}
