// Package examples_test builds the examples and runs them as their reader
// would.
package examples_test

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// built returns the path of an example's program.
func built(t *testing.T, name string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), name)
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./"+name).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return bin
}

// run starts a peer of the program and returns a function that runs a line in
// it through peer exec.
func run(t *testing.T, bin string, stdin string, flags ...string) func(args ...string) (string, error) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	daemon := exec.Command(bin, append([]string{"run", "--name", "alice", "--bind", "127.0.0.1:0", "--socket", socket}, flags...)...)
	var log bytes.Buffer
	daemon.Stderr = &log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		if err := daemon.Wait(); err != nil {
			t.Errorf("the peer ended with %v\n%s", err, &log)
		}
	})
	exec1 := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), bin, append([]string{args[0], "--socket", socket}, args[1:]...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := exec1("health"); err == nil {
			return exec1
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the peer does not come up\n%s", &log)
		}
	}
}

func TestPing(t *testing.T) {
	peer := run(t, built(t, "ping"), "ping from a script\n", "--chat-bind", "127.0.0.1:0")
	for _, tc := range []struct {
		door string
		args []string
		want string
	}{
		{"exec", []string{"exec", "--", "ping hello"}, "alice: pong hello\n"},
		{"script", []string{"exec", "--", "execute -"}, "alice: pong from a script\n"},
		{"shell", []string{"attach"}, "alice: pong from a script\n"},
		{"help", []string{"exec", "--", "help ping"}, "usage: ping [TEXT...]"},
		{"overview", []string{"exec", "--", "help"}, "ping [TEXT...]"},
	} {
		if out, err := peer(tc.args...); err != nil || !strings.Contains(out, tc.want) {
			t.Errorf("%s: %v, %q, want %q", tc.door, err, out, tc.want)
		}
	}
}

func TestLayer(t *testing.T) {
	bin := built(t, "layer")
	peer := run(t, bin, "")
	for _, step := range []struct{ line, want string }{
		{"light", "green, by alice\n"},
		{"light set red", ""},
		{"light", "red, by alice\n"},
		{"light leave", "left the light\n"},
		{"light join", "in the light\n"},
		{"light -format json", `"light": "green"`},
		{"members", "LIGHT"},
		{"info", "light"},
	} {
		if out, err := peer("exec", "--", step.line); err != nil || !strings.Contains(out, step.want) {
			t.Errorf("%s: %v, %q, want %q", step.line, err, out, step.want)
		}
	}
	for _, args := range [][]string{{"run", "--help"}, {"exec", "--", "help"}, {"exec", "--", "help", "set"}} {
		if out, err := peer(args...); err != nil || strings.Contains(out, "chat") {
			t.Errorf("%s speaks of a chat: %v\n%s", args, err, out)
		}
	}
	if out, err := exec.CommandContext(t.Context(), bin, "--help").CombinedOutput(); err != nil ||
		!strings.Contains(string(out), "a light on top") || !strings.Contains(string(out), "--bind is PEER_BIND") {
		t.Errorf("--help: %v\n%s", err, out)
	}
	if out, err := peer("exec", "--", "msg hello"); err == nil || !strings.Contains(out, "unknown command") {
		t.Errorf("the chat is still there: %v, %q", err, out)
	}
}
