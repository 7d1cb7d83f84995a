package scenarios

import (
	"path/filepath"
	"strings"
	"testing"

	"peerlab/observe"
)

// What peers are asked is a line as any other: it can name files and peers.
func TestAnswersTakeFilesAndPeers(t *testing.T) {
	dir := place(t, map[string]string{
		"x.txt": three + "check alice answers execute setup.txt with ^set up$\n" +
			"check alice answers 'membership join @bob' with ^\n",
		"setup.txt": "echo set up\n",
	})
	s, err := Open(filepath.Join(dir, "x.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if res := playAll(t, s)[0]; res.Verdict != observe.Pass {
		t.Errorf("%s: %s", res.Verdict, res.Reason)
	}
}

func TestAnswers(t *testing.T) {
	for _, test := range []struct{ name, line, want string }{ // want is in the reason, "" for a pass
		{"all are asked at the same time", "await 1500ms all answer sleep 1 with ^", ""},
		{"what they answered last counts when time is up", "await 2500ms all answer sleep 1 with slept", "alice answers otherwise"},
		{"nobody has answered when time is up", "await 500ms all answer sleep 1 with ^", "do not come in time"},
		{"nobody runs", "kill all\nawait 1s not all see 3 alive\ncheck not all answer members with ^", ""},
		{"one is paused", "pause bob\ncheck alice,bob answer members with alice", ": bob is paused"},
		{"the line fails", "! alice members nobody\ncheck alice,bob answer members nobody with ^", "with ^: alice: members: this peer knows no"},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := play(t, three+test.line+"\n")
			if test.want == "" && res.Verdict != observe.Pass || test.want != "" && (res.Verdict != observe.Fail || !strings.Contains(res.Reason, test.want)) {
				t.Errorf("%s: %s, want %q", res.Verdict, res.Reason, test.want)
			}
		})
	}
}
