package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func needMake(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("there is no make")
	}
}

// make up says what is wrong with the network before it builds anything.
func TestMakeUpChecksTheNetwork(t *testing.T) {
	needMake(t)
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
	needMake(t)
	for line, want := range map[string]string{"echo first\nsecond": "LINE is one line", "members": "no Docker daemon answers"} {
		cmd := exec.CommandContext(t.Context(), "make", "-s", "-C", "../..", "exec", "LINE="+line)
		cmd.Env = append(cmd.Environ(), "DOCKER_HOST=unix:///nowhere/docker.sock")
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v: %s", line, err, out)
		}
	}
}

// TestMakeHintsNameTheProject has what make says to do next mean the same cluster
// when it is typed in another window.
func TestMakeHintsNameTheProject(t *testing.T) {
	needMake(t)
	for _, tc := range []struct{ name, project, target, want, lacks string }{
		{"another project", "ub", "up", "'COMPOSE_PROJECT_NAME=ub make attach PEER=alice'", "'make attach"},
		{"another project, down", "ub", "up", "'COMPOSE_PROJECT_NAME=ub make down'", "'make down"},
		{"the usual one", "", "up", "'make attach PEER=alice'", "COMPOSE_PROJECT_NAME="},
		{"no peer", "ub", "running", "start that with COMPOSE_PROJECT_NAME=ub make up", ""},
	} {
		cmd := exec.CommandContext(t.Context(), "make", "-n", "-C", "../..", "-o", "settings", "-o", "image", tc.target)
		cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "COMPOSE_PROJECT_NAME=") })
		if tc.project != "" {
			cmd.Env = append(cmd.Env, "COMPOSE_PROJECT_NAME="+tc.project)
		}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), tc.want) || tc.lacks != "" && strings.Contains(string(out), tc.lacks) {
			t.Errorf("%s: %v: want %q and not %q:\n%s", tc.name, err, tc.want, tc.lacks, out)
		}
	}
	out, err := exec.CommandContext(t.Context(), "make", "-s", "-C", "../..", "logs", "PEER=nobody").CombinedOutput()
	if err == nil || !strings.HasPrefix(string(out), "make logs: there is no peer nobody: ") {
		t.Errorf("logs of nobody: %v: %s", err, out)
	}
}
