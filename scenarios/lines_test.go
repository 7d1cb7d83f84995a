package scenarios

import (
	"strings"
	"testing"

	"peerlab/observe"
)

// TestLinesOfSeveral: a line can be for several peers.
func TestLinesOfSeveral(t *testing.T) {
	for text, want := range map[string]string{
		"alice..charly members\nstdout '(?s)charly.*charly.*charly'\n":                                        "",
		"wait 5s\nrepeat 2 alice,bob msg 'n {}'\nawait 5s all have message 'n 2'\ncheck events chat.sent=4\n": "",
		"all msg hello\ncheck events chat.sent<3\n":                                                           "there are 3",
		"pause bob\nalice,bob members\n":                                                                      "bob is paused",
		"kill bob\nall members\n":                                                                             "bob does not run",
		"pause bob\n! all members\nresume bob\n":                                                              "",
	} {
		res := play(t, three+text)
		if want == "" && res.Verdict != observe.Pass || want != "" && (res.Verdict != observe.Fail || !strings.Contains(res.Reason, want)) {
			t.Errorf("%s\n%s: %s, want %q", text, res.Verdict, res.Reason, want)
		}
	}
	s, err := Parse("x.txt", three+"alice,dave members\nbob..alice members\nalice,alice members\nalice,bob membres\n")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Plans(t.Context(), nil, "", nil)
	for _, want := range []string{"x.txt:4:", "dave", "x.txt:5:", "alice comes before bob", "x.txt:6:", "alice is there twice", "x.txt:7:11: a peer has no command \"membres\""} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("lint says %v, want %s", err, want)
		}
	}
}
