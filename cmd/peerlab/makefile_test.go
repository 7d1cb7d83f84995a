package main

import (
	"os/exec"
	"strings"
	"testing"
)

// make up says what is wrong with the network before it builds anything.
func TestMakeUpChecksTheNetwork(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("there is no make")
	}
	for _, net := range []string{"foo", "10.77", "10.77.0.0/24", "10.77.256", "10.77.0 "} {
		out, err := exec.CommandContext(t.Context(), "make", "-s", "-C", "../..", "-o", "build", "settings", "PEERLAB_NET="+net).CombinedOutput()
		if err == nil || !strings.HasPrefix(string(out), "make up: PEERLAB_NET="+net+" is no network: ") {
			t.Errorf("%s: %v: %s", net, err, out)
		}
	}
}

// make exec says what is wrong: a second line would be dropped, and without Docker
// nobody knows which peers there are.
func TestMakeExecSaysWhatIsWrong(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("there is no make")
	}
	for line, want := range map[string]string{"echo first\nsecond": "LINE is one line", "members": "no Docker daemon answers"} {
		cmd := exec.CommandContext(t.Context(), "make", "-s", "-C", "../..", "exec", "LINE="+line)
		cmd.Env = append(cmd.Environ(), "DOCKER_HOST=unix:///nowhere/docker.sock")
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v: %s", line, err, out)
		}
	}
}
