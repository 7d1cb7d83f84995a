package control

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestListenMakesAPrivateSocket(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run", "peer")
	path := filepath.Join(dir, "control.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{dir: fs.ModeDir | 0o700, path: fs.ModeSocket | 0o600} {
		if st, err := os.Lstat(name); err != nil || st.Mode() != want {
			t.Errorf("%s: mode %v, want %v (%v)", name, st.Mode(), want, err)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("Close left the socket")
	}
}

func TestListenReplacesAStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false) // as SIGKILL would leave it
	dead.Close()
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestListenRefuses(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	live := filepath.Join(dir, "live")
	l, err := Listen(live)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Symlink(live, link); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, path, want string }{
		{"a live peer", live, "another peer answers on " + live},
		{"a file", file, "is not a socket"},
		{"a directory", dir, "is not a socket"},
		{"a link", link, "is not a socket"},
		{"a file as directory", filepath.Join(file, "s"), "not a directory"},
		{"a long path", filepath.Join(dir, strings.Repeat("x", 110)), "it must have 1 to 107"},
		{"no path", "", "it must have 1 to 107"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, err := Listen(tc.path)
			if err == nil {
				l.Close()
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %q does not say %q", err, tc.want)
			}
		})
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file is now %q, %v", b, err)
	}
}

func TestDialErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, file + ".missing"} {
		if _, err := Dial(path); err == nil || !strings.Contains(err.Error(), "no peer answers on "+path+": is it running?") {
			t.Errorf("Dial: %v", err)
		}
	}
}

// Of peers that start at once on a stale socket exactly one gets it.
func TestListenRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()
	got := make(chan net.Listener, 20)
	var wg sync.WaitGroup
	for range cap(got) {
		wg.Go(func() {
			if l, err := Listen(path); err == nil {
				got <- l
			}
		})
	}
	wg.Wait()
	close(got)
	if len(got) != 1 {
		t.Errorf("%d listeners, want 1", len(got))
	}
	for l := range got {
		l.Close()
	}
}

func TestCloseLeavesTheSocketOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	old, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := old.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the new socket is gone: %v", err)
	}
}

func TestServeReportsALostListener(t *testing.T) {
	l, err := Listen(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := Serve(context.Background(), l, handler(t, nil)); err == nil || !strings.Contains(err.Error(), "serve control socket") {
		t.Errorf("Serve: %v", err)
	}
}
