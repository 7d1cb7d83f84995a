package scenarios

import (
	"context"
	"slices"
	"strings"
	"testing"

	"peerlab/testbed"
	"peerlab/testbed/sim"
)

func playTest(t *testing.T, text string) (bool, string) {
	t.Helper()
	f, err := ParseTest("hello.cmd", text)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	ok := false
	err = sim.Run(t.Context(), 1, func(ctx context.Context, factory testbed.Factory) error {
		var err error
		ok, err = f.Run(ctx, factory, &out)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ok, out.String()
}

// has says whether a line of text has these words in this order.
func has(text, words string) bool {
	for line := range strings.Lines(text) {
		if strings.Contains(strings.Join(strings.Fields(line), " "), words) {
			return true
		}
	}
	return false
}

func TestTestFile(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		ok   bool
		want []string
	}{
		"as it should be": {
			"alice init\nbob /init\n\nalice sleep 1\nalice testfilter messagesView 1 <bob> hello\nbob msg hello\n", true,
			[]string{`Summary of "hello" (`, "init OK", "/init OK", "testfilter messagesView 1 <bob> hello OK", `event messagesView "<bob> hello": 1 of 1 OK`, "msg hello OK"},
		},
		"an event too few": {
			"alice init\nbob init\nalice sleep 1\nalice testfilter messagesView 2 <bob> hello\nbob msg hello\n", false,
			[]string{`event messagesView "<bob> hello": 1 of 2 FAILED`},
		},
		"an event too many": {
			"alice init\nbob init\nalice sleep 1\nalice testfilter messagesView 0 <bob>\nbob msg hello\n", false,
			[]string{`event messagesView "<bob>": 1 of 0 FAILED`},
		},
		"a command that fails": {
			"alice init\nalice nonsense\nalice members\n", false, []string{"nonsense FAILED: unknown command", "members OK"},
		},
		"a peer that ends": {
			"alice init\nbob init\nbob testfilter messagesView 1 <alice>\nbob exit\nalice sleep 15\nbob msg still there?\nalice members\n", false,
			[]string{"exit OK", "msg still there? FAILED: bob", "members OK", "event FAILED: bob cannot be asked"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ok, out := playTest(t, tc.text)
			if ok != tc.ok {
				t.Errorf("OK is %t\n%s", ok, out)
			}
			for _, want := range tc.want {
				if !has(out, want) {
					t.Errorf("there is no %q in\n%s", want, out)
				}
			}
		})
	}
}

func TestTestFileSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":                  "x.cmd:1:1: there is no line in it",
		"alice init\nbob\n": "x.cmd:2:1: want the name of a peer and a line of its shell",
		"# x\nAl!ce init\n": `x.cmd:2:1: "Al!ce" is no name`,
	} {
		if _, err := ParseTest("x.cmd", text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// Some editors begin a file with a byte order mark.
func TestByteOrderMark(t *testing.T) {
	const mark = "\ufeff"
	if f, err := ParseTest("x.cmd", mark+"alice init\n"); err != nil || !slices.Equal(f.peers, []string{"alice"}) {
		t.Errorf("a test file: %v", err)
	}
	if s, err := Parse("x.txt", mark+"cluster 3\nstart\n"); err != nil || len(s.lines) != 2 {
		t.Errorf("a scenario: %v", err)
	}
}
