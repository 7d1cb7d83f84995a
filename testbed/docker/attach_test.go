package docker

import (
	"strings"
	"testing"
)

// The keys that leave a shell, while its peer is paused and while it is not.
func TestKeysThatLeaveAShell(t *testing.T) {
	for _, tc := range []struct {
		name, keys string
		paused     bool
		forShell   string
		leaves     bool
	}{
		{"text", "members\r", false, "members\r", false},
		{"Ctrl-C ends a command", "\x03", false, "\x03", false},
		{"Ctrl-D is the shell's", "\x04", false, "\x04", false},
		{"Ctrl-]", "msg half\x1d", false, "msg half\x1d", true},
		{"text, paused", "quit\r", true, "", false},
		{"Ctrl-C, paused", "x\x03", true, "", true},
		{"Ctrl-D, paused", "\x04", true, "", true},
		{"Ctrl-], paused", "\x1d", true, "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := &attachment{paused: tc.paused}
			if forShell, leaves := a.filter([]byte(tc.keys)); string(forShell) != tc.forShell || leaves != tc.leaves {
				t.Errorf("the shell gets %q, leaves %t", forShell, leaves)
			}
		})
	}
}

// What happens to a peer stands in a line of its own.
func TestLineOfItsOwn(t *testing.T) {
	var out strings.Builder
	a := &attachment{terminal: Terminal{Out: &out}}
	_, _ = a.Write([]byte("bob> half"))
	a.say("bob %s", "is paused")
	a.say("bob goes on")
	if want := "bob> half\r\nbob is paused\r\nbob goes on\r\n"; out.String() != want {
		t.Errorf("%q, want %q", &out, want)
	}
}
