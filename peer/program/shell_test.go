//go:build linux

package program_test

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"peerlab/event"
)

// In a shell on a terminal the log is what log follow shows, and nothing else;
// quit ends the peer well.
func TestShellWithoutLog(t *testing.T) {
	keys, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	cmd := command(t, []string{"TERM=xterm"}, "run", "--shell", "--name", "zoe", "--bind", "127.0.0.1:0", "--chat-bind", "127.0.0.1:0",
		"--socket", filepath.Join(t.TempDir(), "s"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = tty.Close()
	timeout := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timeout.Stop()
	var shown bytes.Buffer
	await := func(text string) {
		t.Helper()
		buf := make([]byte, 4096)
		for !strings.Contains(shown.String(), text) {
			n, err := keys.Read(buf)
			shown.Write(buf[:n])
			if err != nil {
				t.Fatalf("it does not show %q: %v, but\n%s", text, err, &shown)
			}
		}
	}
	await("zoe: help lists the commands")
	await("zoe> ")
	if strings.Contains(shown.String(), "level=") {
		t.Errorf("the log is shown:\n%s", &shown)
	}
	if _, err := io.WriteString(keys, "init\rlog follow -n 1\r"); err != nil {
		t.Fatal(err)
	}
	await("level=INFO")
	if _, err := io.WriteString(keys, "\x03quit\r"); err != nil {
		t.Fatal(err)
	}
	await("as quit asked")
	if err := cmd.Wait(); err != nil {
		t.Errorf("after quit: %v", err)
	}
}

// What is passed on to a terminal fits it.
func TestExecFitsColumns(t *testing.T) {
	d := start(t, nil, "--name", "alice", "--bare")
	d.await(t, event.PeerStarted)
	cmd := command(t, []string{"PEER_SOCKET=" + d.socket, "COLUMNS=50"}, "exec", "--", "help")
	out, err := cmd.CombinedOutput()
	if err != nil || len(out) == 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if len(line) > 51 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
}
