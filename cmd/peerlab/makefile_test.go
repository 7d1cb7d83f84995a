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
