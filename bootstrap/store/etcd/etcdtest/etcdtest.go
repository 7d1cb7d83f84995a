// Package etcdtest starts a real etcd server for tests.
package etcdtest

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Start starts an etcd server on loopback that ends with the test, and returns
// its HOST:PORT. Without an etcd in the PATH it skips the test; in CI, fails it.
func Start(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("etcd")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no etcd in the PATH: CI needs Debian's etcd-server")
		}
		t.Skip("no etcd in the PATH: apt-get install etcd-server")
	}
	client, peer := freeAddr(t), freeAddr(t)
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program,
		"--data-dir", t.TempDir(), "--logger", "zap", "--log-level", "warn",
		"--listen-client-urls", "http://"+client, "--advertise-client-urls", "http://"+client,
		"--listen-peer-urls", "http://"+peer, "--initial-advertise-peer-urls", "http://"+peer,
		"--initial-cluster", "default=http://"+peer,
		"--unsafe-no-fsync")
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = endsWithParent()
	cmd.WaitDelay = time.Second
	cmd.Args = dropUnknown(program, cmd.Args)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("etcd:\n%s", &log)
		}
	})
	deadline := time.Now().Add(30 * time.Second)
	for {
		resp, err := http.Get("http://" + client + "/health")
		if err == nil {
			b, _ := io.ReadAll(resp.Body) // what there is of it is enough
			_ = resp.Body.Close()
			if bytes.Contains(b, []byte("true")) {
				http.DefaultClient.CloseIdleConnections()
				return client
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("etcd does not come up: %v\n%s", err, &log)
		}
	}
}

// dropUnknown removes --unsafe-no-fsync, which makes tests faster, where etcd
// is older than 3.4.
func dropUnknown(program string, args []string) []string {
	help, _ := exec.Command(program, "--help").CombinedOutput()
	if bytes.Contains(help, []byte("unsafe-no-fsync")) {
		return args
	}
	return args[:len(args)-1]
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
