//go:build linux

package program_test

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/peer/program"
)

// TestMain runs the program itself when asked to, so that the tests drive a
// real process, built with whatever the tests were.
func TestMain(m *testing.M) {
	if os.Getenv("PEER_TEST_MAIN") != "" {
		_ = os.Unsetenv("PEER_TEST_MAIN")
		program.Program{}.Main()
	}
	os.Exit(m.Run())
}

func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append([]string{"PEER_TEST_MAIN=1", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// daemon is a running peer.
type daemon struct {
	*exec.Cmd
	socket string
	events <-chan event.Event
	stderr *bytes.Buffer
}

func start(t *testing.T, env []string, args ...string) *daemon {
	t.Helper()
	d := &daemon{socket: filepath.Join(t.TempDir(), "s"), stderr: &bytes.Buffer{}}
	d.Cmd = command(t, append(env, "PEER_SOCKET="+d.socket, "PEER_BIND=127.0.0.1:0", "PEER_CHAT_BIND=127.0.0.1:0"), append([]string{"run"}, args...)...)
	d.Stderr = d.stderr
	stdout, err := d.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Process.Kill(); _ = d.Wait() })
	events := make(chan event.Event, 100)
	d.events = events
	go func() {
		defer close(events)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			e, err := event.Decode(lines.Bytes())
			if err != nil {
				t.Errorf("standard output holds %q: %v", lines.Text(), err)
				continue
			}
			events <- e
		}
	}()
	return d
}

func (d *daemon) await(t *testing.T, kind event.Kind) event.Event {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case e, ok := <-d.events:
			if !ok {
				_ = d.Wait()
				t.Fatalf("the peer ended before %s: %s", kind, d.stderr)
			}
			if e.Kind == kind {
				return e
			}
		case <-timeout:
			t.Fatalf("no %s", kind)
		}
	}
}

func (d *daemon) exec(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := command(t, []string{"PEER_SOCKET=" + d.socket}, append([]string{"exec", "--"}, args...)...).CombinedOutput()
	return string(out), err
}

func TestLifeOfAPeer(t *testing.T) {
	d := start(t, []string{"PEER_NAME=ignored", "PEER_SET=SuspicionMult=5,ProbeInterval=2s", "PEER_PROFILE=local"}, "--name", "alice")
	d.await(t, event.PeerStarted)
	if e := d.await(t, event.PeerReady); e.Peer != "alice" {
		t.Errorf("the environment wins over the flag: %+v", e)
	}
	if out, err := d.exec(t, "members"); err != nil || !strings.Contains(out, "alice") || !strings.Contains(out, "alive") {
		t.Errorf("members: %v\n%s", err, out)
	}
	if out, err := d.exec(t, "msg", "two  blanks", "and more"); err != nil {
		t.Errorf("msg: %v\n%s", err, out)
	}
	if e := d.await(t, event.ChatSent); e.Text != "two  blanks and more" {
		t.Errorf("sent %q", e.Text)
	}
	out, err := d.exec(t, "membrs")
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 1 || out != "peer: unknown command \"membrs\": did you mean members?\n" {
		t.Errorf("a wrong command: %v, %q", err, out)
	}
	if out, err := command(t, []string{"PEER_SOCKET=" + d.socket}, "health").CombinedOutput(); err != nil {
		t.Errorf("health: %v\n%s", err, out)
	}

	began := time.Now()
	if err := d.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	d.await(t, event.PeerStopping)
	if _, more := <-d.events; more {
		for range d.events {
		}
	}
	if err := d.Wait(); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("after SIGTERM: %v in %v\n%s", err, time.Since(began), d.stderr)
	}
	if _, err := os.Stat(d.socket); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}

func TestSocketOfAKilledPeerIsReplaced(t *testing.T) {
	d := start(t, nil, "--name", "a")
	d.await(t, event.PeerReady)
	// A second peer on the same socket is refused while the first lives.
	out, err := command(t, nil, "run", "--name", "b", "--bind", "127.0.0.1:0", "--chat-bind", "127.0.0.1:0", "--socket", d.socket).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another peer answers on") {
		t.Errorf("%v\n%s", err, out)
	}
	if err := d.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = d.Wait()
	if _, err := os.Stat(d.socket); err != nil {
		t.Fatalf("the killed peer left no socket: %v", err)
	}
	if out, err := d.exec(t, "members"); err == nil || !strings.Contains(out, "is it running?") {
		t.Errorf("%v\n%s", err, out)
	}
	second := start(t, []string{"PEER_SOCKET=" + d.socket}, "--name", "b", "--socket", d.socket)
	second.await(t, event.PeerReady)
}

func TestWrongUsage(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	run := func(args ...string) []string {
		return append([]string{"run", "--name", "x", "--bind", "127.0.0.1:0", "--chat-bind", "127.0.0.1:0", "--socket", filepath.Join(t.TempDir(), "s")}, args...)
	}
	for _, tc := range []struct {
		what string
		env  []string
		args []string
		exit int
		want string
	}{
		{"unknown command", nil, []string{"rnu"}, 2, "did you mean run"},
		{"unknown flag", nil, run("--boostrap", "x"), 2, "did you mean --bootstrap"},
		{"argument", nil, run("now"), 2, `unexpected argument "now"`},
		{"no line", nil, []string{"exec"}, 2, "nothing to run"},
		{"name", nil, run("--name", "two words"), 2, "letters, digits"},
		{"field", nil, run("--set", "SuspicionMul=3"), 2, "did you mean SuspicionMult"},
		{"value", nil, run("--set", "SuspicionMult=three"), 2, "not a whole number"},
		{"profile", nil, run("--profile", "moon"), 2, "lan, local, wan"},
		{"URL", nil, run("--bootstrap", "bootstrap"), 2, "want http://HOST:PORT"},
		{"URL by its old name", []string{"BOOTSTRAP_DATA_SERVER=bootstrap"}, run(), 2, "want http://HOST:PORT"},
		{"URL by its old name too", []string{"BOOTSTRAP_DATA_SERVER=http://10.0.0.1:80", "PEER_BOOTSTRAP=bootstrap"}, run(), 2, "want http://HOST:PORT"},
		{"a check that finds something", []string{"PEER_SET=SuspicionMul=2"}, run("--check"), 2, "did you mean SuspicionMult"},
		{"duration", nil, run("--rejoin", "5"), 2, "must be a duration"},
		{"environment", []string{"PEER_REJOIN=often"}, run(), 2, "PEER_REJOIN"},
		{"log level", nil, run("--log-level", "loud"), 2, "debug, info, warn or error"},
		{"port in use", nil, run("--chat-bind", busy.Addr().String()), 1, "in use"},
		{"no peer", nil, []string{"attach", "--socket", "/nowhere/s"}, 3, "is it running?"},
		{"socket is a file", nil, []string{"run", "--name", "x", "--socket", "/etc/passwd"}, 1, "not a socket"},
	} {
		t.Run(tc.what, func(t *testing.T) {
			var stderr bytes.Buffer
			cmd := command(t, tc.env, tc.args...)
			cmd.Stderr = &stderr
			_ = cmd.Run()
			last := strings.TrimRight(stderr.String(), "\n")
			last = last[strings.LastIndex(last, "\n")+1:]
			if cmd.ProcessState.ExitCode() != tc.exit || !strings.HasPrefix(last, "peer: ") || !strings.Contains(last, tc.want) {
				t.Errorf("exit %d, want %d with %q; standard error:\n%s", cmd.ProcessState.ExitCode(), tc.exit, tc.want, &stderr)
			}
			if strings.Contains(stderr.String(), "goroutine ") {
				t.Error("a stack trace")
			}
		})
	}
}

// A check runs nothing.
func TestCheckRunsNothing(t *testing.T) {
	out, err := command(t, nil, "run", "--check", "--name", "x", "--set", "SuspicionMult=2", "--socket", "/nowhere/socket").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"run", "--help"}, {"version"}, {"--version"}} {
		out, err := command(t, nil, args...).Output()
		if err != nil || len(out) == 0 {
			t.Errorf("%q: %v, %q", args, err, out)
		}
	}
}
