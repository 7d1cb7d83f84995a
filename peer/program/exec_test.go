//go:build linux

package program_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"peerlab/event"
)

// execStdin runs peer exec with this standard input.
func (d *daemon) execStdin(t *testing.T, stdin string, args ...string) (out string, status int) {
	t.Helper()
	cmd := command(t, []string{"PEER_SOCKET=" + d.socket}, append([]string{"exec"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	b, _ := cmd.CombinedOutput()
	return string(b), cmd.ProcessState.ExitCode()
}

// A line comes by standard input, so that it is in no list of processes.
func TestExecReadsTheLine(t *testing.T) {
	d := start(t, nil, "--name", "alice", "--bare")
	d.await(t, event.PeerStarted)
	for _, tc := range []struct {
		name, stdin string
		args        []string
		status      int
		want        string
	}{
		{"a line", "echo hi\n", []string{"-"}, 0, "hi\n"},
		{"without an end", "echo hi", []string{"-"}, 0, "hi\n"},
		{"and what it does not read", "echo hi\necho no\n", []string{"-"}, 0, "hi\n"},
		{"and its own input", "execute -\necho one\necho two\n", []string{"-"}, 0, "one\ntwo\n"},
		{"a script that fails", "execute -\necho hi\nnosuch\n", []string{"-"}, 1, "hi\npeer: standard input:2: unknown command \"nosuch\""},
		{"a request", `{"line":"echo 'a  b'"}` + "\n", []string{"-"}, 0, "a  b\n"},
		{"its words", `{"words":["echo","a\nb"]}` + "\n", []string{"-"}, 0, "a\nb\n"},
		{"its input", `{"line":"execute -","stdin":"echo in\n"}` + "\nno\n", []string{"-"}, 0, "in\n"},
		{"no input", `{"line":"execute -"}` + "\necho no\n", []string{"-"}, 1, "peer: there is no standard input"},
		{"its files", `{"line":"execute a/x","files":{"a/x":"echo from x\nexecute y\n","y":"echo from y"}}` + "\n", []string{"-"}, 0, "from x\nfrom y\n"},
		{"no such file", `{"line":"execute program_test.go","files":{}}` + "\n", []string{"-"}, 1, "no such file beside the scenario"},
		{"nothing", "", []string{"-"}, 2, "nothing to run"},
		{"a blank line", "\necho hi\n", []string{"-"}, 2, "nothing to run"},
		{"half a request", `{"line":`, []string{"-"}, 2, "the request is not as expected"},
		{"too long", strings.Repeat("x", 6<<20), []string{"-"}, 2, "the limit is"},
		{"by argument", "echo one\n", []string{"--", "execute", "-"}, 0, "one\n"},
		{"by argument, empty", "", []string{"--", "execute", "-"}, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, status := d.execStdin(t, tc.stdin, tc.args...)
			if status != tc.status || !strings.Contains(out, tc.want) || (tc.status == 0 && out != tc.want) {
				t.Errorf("status %d, output %q, want %d and %q", status, out, tc.status, tc.want)
			}
		})
	}
}

// A command that whoever began it holds ends with them.
func TestHeldCommandEndsWithItsCaller(t *testing.T) {
	d := start(t, nil, "--name", "alice", "--bare")
	d.await(t, event.PeerStarted)
	cmd := command(t, []string{"PEER_SOCKET=" + d.socket}, "exec", "-")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timeout := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer timeout.Stop()
	if _, err := io.WriteString(stdin, `{"line":"log follow -n 1","hold":true}`+"\n"); err != nil {
		t.Fatal(err)
	}
	if n, err := out.Read(make([]byte, 100)); n == 0 {
		t.Fatalf("it shows nothing: %v", err)
	}
	_ = stdin.Close()
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 1 {
		t.Errorf("status %d, want 1; -1 is that it went on", status)
	}
}

// With a terminal as standard input a command that does not read it does not
// wait for it, and one that does can be interrupted.
func TestExecOnATerminal(t *testing.T) {
	d := start(t, nil, "--name", "alice")
	d.await(t, event.PeerReady)
	run := func(args ...string) (cmd *exec.Cmd, keys, tty *os.File, out *bytes.Buffer) {
		keys, tty, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = keys.Close(); _ = tty.Close() })
		cmd = command(t, []string{"PEER_SOCKET=" + d.socket}, args...)
		out = new(bytes.Buffer)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, keys, tty, out
	}
	wait := func(cmd *exec.Cmd, out *bytes.Buffer) int {
		t.Helper()
		timeout := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		if !timeout.Stop() {
			t.Errorf("%q does not end; output %q", cmd.Args, out)
		}
		return cmd.ProcessState.ExitCode()
	}
	var err error
	for _, words := range [][]string{{"msg", "-", "hello"}, {"msg - hello"}, {"echo", "-"}, {"members"}, {"localnode", "-"}, {"nosuch", "-"}} {
		cmd, _, _, out := run(append([]string{"exec", "--"}, words...)...)
		wait(cmd, out)
	}
	cmd, keys, _, out := run("exec", "--", "execute", "-")
	if _, err := keys.WriteString("echo typed\n\x04"); err != nil {
		t.Fatal(err)
	}
	if status := wait(cmd, out); status != 0 || out.String() != "typed\n" {
		t.Errorf("a typed script: status %d, output %q", status, out)
	}
	for _, args := range [][]string{{"exec", "--", "execute", "-"}, {"exec", "-"}} {
		cmd, keys, tty, out := run(args...)
		if _, err := keys.WriteString("execute -\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(keys).ReadString('\n'); err != nil { // the echo: it is in the terminal's buffer
			t.Fatal(err)
		}
		for left := 1; left > 0; { // until the program has read it
			if left, err = unix.IoctlGetInt(int(tty.Fd()), unix.TIOCINQ); err != nil {
				t.Fatal(err)
			}
			runtime.Gosched()
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if status := wait(cmd, out); status != 1 {
			t.Errorf("%q interrupted: status %d, output %q", args, status, out)
		}
	}
}
