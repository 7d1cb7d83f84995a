package program_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// unread starts a peer whose standard output nobody reads, and has it emit more
// events than the pipe takes.
func unread(t *testing.T) *exec.Cmd {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Skip(err)
	}
	d := &daemon{socket: filepath.Join(t.TempDir(), "s")}
	d.Cmd = command(t, []string{"PEER_SOCKET=" + d.socket, "PEER_BIND=127.0.0.1:0", "PEER_CHAT_BIND=127.0.0.1:0"}, "run", "--name", "alice")
	d.Stdout = w
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	t.Cleanup(func() { _ = d.Process.Kill(); _ = d.Wait() })
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := d.exec(t, "health"); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the peer is not ready")
		}
	}
	for range 3 {
		if out, err := d.exec(t, "msg", strings.Repeat("x", 4096)); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return d.Cmd
}

// ended waits for the end of a process.
func ended(t *testing.T, cmd *exec.Cmd) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-time.After(30 * time.Second):
		t.Fatal("the peer does not end")
		return nil
	}
}

func TestEndsThoughNobodyReadsTheEvents(t *testing.T) {
	cmd := unread(t)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := ended(t, cmd); err != nil {
		t.Error(err)
	}
}

// Whoever asks twice does not want to wait for the farewell.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	cmd := unread(t)
	stop := make(chan struct{})
	go func() {
		for {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	err := ended(t, cmd)
	close(stop)
	exit := new(exec.ExitError)
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("it ended with %v, not by the signal", err)
	}
}
