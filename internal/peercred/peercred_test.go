package peercred_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"peerlab/internal/peercred"
)

// pair returns both ends of a unix socket.
func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("unix", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, server
}

func TestBothEndsSeeTheUser(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("this system does not tell")
	}
	client, server := pair(t)
	for name, conn := range map[string]net.Conn{"client": client, "server": server} {
		if uid, err := peercred.User(conn); err != nil || uid != os.Getuid() {
			t.Errorf("%s: user %d, %v, want %d", name, uid, err, os.Getuid())
		}
		if err := peercred.Verify(conn, os.Getuid()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var stranger *peercred.StrangerError
	if err := peercred.Verify(client, os.Getuid()+1); os.Getuid() != 0 && (!errors.As(err, &stranger) || stranger.UID != os.Getuid()) {
		t.Errorf("somebody else's: %v", err)
	}
}

func TestOtherConnectionsHaveNoUser(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, err := peercred.User(a); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

func TestCheckDirectory(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := peercred.CheckDirectory(dir); err != nil {
		t.Error(err)
	}
	for _, path := range []string{file, filepath.Join(dir, "missing")} {
		if err := peercred.CheckDirectory(path); err == nil {
			t.Errorf("%s is taken for a directory of ours", path)
		}
	}
}
