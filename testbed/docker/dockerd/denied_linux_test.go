package dockerd

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// TestDenied opens a socket that only root may open.
func TestDenied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	answer := make(chan bool)
	go func() {
		if os.Geteuid() == 0 {
			// This thread alone becomes nobody, and ends with the goroutine.
			runtime.LockOSThread()
			_ = syscall.Setfsuid(65534)
		}
		answer <- denied(t.Context(), "unix://"+path)
	}()
	if !<-answer {
		t.Error("a socket without permissions is not told from one without a daemon")
	}
	for _, host := range []string{"unix:///nowhere/docker.sock", "tcp://127.0.0.1:1"} {
		if denied(t.Context(), host) {
			t.Errorf("%s is told as lacking permission", host)
		}
	}
}
