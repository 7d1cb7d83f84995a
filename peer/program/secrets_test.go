//go:build linux

package program_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"

	"peerlab/event"
)

const (
	testKey            = "MDEyMzQ1Njc4OWFiY2RlZg=="
	testKeyFingerprint = "9f9f5111" // of 0123456789abcdef
)

// The history of the shell is a file: it has fingerprints in the place of keys.
func TestHistoryFileHoldsNoKey(t *testing.T) {
	d := start(t, nil, "--name", "alice")
	d.await(t, event.PeerReady)
	home := t.TempDir()
	cmd := command(t, []string{"PEER_SOCKET=" + d.socket, "HOME=" + home, "TERM=xterm"}, "attach")
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	if _, err := io.WriteString(terminal, "testreset\rkeys install "+testKey+"\rkeys use '"+testKey+"' \rkyes install "+testKey+"\rexit\r"); err != nil {
		t.Fatal(err)
	}
	var screen bytes.Buffer
	_, _ = io.Copy(&screen, terminal) // EIO when the shell has ended
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &screen)
	}
	b, err := os.ReadFile(filepath.Join(home, ".peerlab_history"))
	if err != nil {
		t.Fatal(err)
	}
	want := "testreset\nkeys install " + testKeyFingerprint + "\nkeys use " + testKeyFingerprint + "\nkyes install " + testKeyFingerprint + "\nexit\n"
	if string(b) != want {
		t.Errorf("the history holds %q, want %q", b, want)
	}
	if out, err := d.exec(t, "testsummary"); err != nil || strings.Contains(out, testKey) || !strings.Contains(out, "keys use "+testKeyFingerprint) {
		t.Errorf("testsummary: %v\n%s", err, out)
	}
}

// A program that shell runs is somebody else's: it does not get what is secret.
func TestProgramsInheritNoSecrets(t *testing.T) {
	const secret, token = "q0E8iNvSxzJm2TtK4v7bY1uWcRHgLd5PfAoZ3nXkVwM=", "a-token-of-the-service"
	d := start(t, []string{"PEER_CHAT_SECRET=" + secret, "PEER_BOOTSTRAP_TOKEN=" + token, "GREETING=hello"}, "--name", "alice", "--allow-shell")
	d.await(t, event.PeerReady)
	out, err := d.exec(t, "shell", "env")
	if err != nil || !strings.Contains(out, "GREETING=hello") {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.Contains(out, secret) || strings.Contains(out, token) {
		t.Errorf("the program gets a secret:\n%s", out)
	}
}
