//go:build unix

package control

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// startStranger runs the test binary as another user and returns the first
// line that it writes.
func startStranger(t *testing.T, act string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("it takes root to be somebody else")
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), asStranger+"="+act)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir, cmd.Stderr = "/", os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil && line == "" {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// openDirectory makes a directory that other users reach.
func openDirectory(t *testing.T, mode os.FileMode) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "control-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestDialRefusesTheSocketOfAnotherUser(t *testing.T) {
	// The directory is ours again when the client looks: only the kernel knows.
	dir := openDirectory(t, 0o777)
	path := filepath.Join(dir, "socket")
	startStranger(t, "listen "+path)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := Dial(path)
	if err == nil {
		c.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "user 65534 ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("Dial: %v", err)
	}
}

// A socket can be replaced while a shell is attached: each connection is looked at.
func TestClientRefusesASocketThatChangedHands(t *testing.T) {
	dir := openDirectory(t, 0o755)
	path := filepath.Join(dir, "socket")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	startStranger(t, "listen "+path)
	if st, err := c.Info(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "control socket is not trusted: "+path) || st.Name == "mallory" {
		t.Errorf("Info: %+v, %v", st, err)
	}
}

func TestServerRefusesAnotherUser(t *testing.T) {
	path := filepath.Join(openDirectory(t, 0o755), "socket")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil { // say, by a helpful script
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }))
	}()
	defer func() { cancel(); <-served }()
	if said := startStranger(t, "connect "+path); said != "answer:" {
		t.Errorf("a stranger was answered: %s", said)
	}
	c, err := Dial(path)
	if err != nil {
		t.Fatalf("the owner is refused: %v", err)
	}
	c.Close()
}

func TestDirectoryThatOthersCanWriteTo(t *testing.T) {
	for _, tc := range []struct {
		name string
		mode os.FileMode
		uid  int
		want string // "" is fine
	}{
		{"private", 0o700, 0, ""},
		{"readable", 0o755, 0, ""},
		{"group", 0o770, 0, "others can write to the directory"},
		{"everybody", 0o777, 0, "others can write to the directory"},
		{"everybody, sticky", 0o777 | os.ModeSticky, 0, "others can write to the directory"},
		{"another user's", 0o755, 65534, "belongs to user 65534"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := openDirectory(t, 0o755)
			path := filepath.Join(dir, "socket")
			listening, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer listening.Close()
			if tc.uid != 0 {
				if err := os.Chown(dir, tc.uid, tc.uid); err != nil {
					t.Skipf("it takes root: %v", err)
				}
			}
			if err := os.Chmod(dir, tc.mode); err != nil {
				t.Fatal(err)
			}
			c, dialErr := Dial(path)
			if dialErr == nil {
				c.Close()
			}
			l, listenErr := Listen(filepath.Join(dir, "other"))
			if listenErr == nil {
				_ = l.Close()
			}
			for what, err := range map[string]error{"Dial": dialErr, "Listen": listenErr} {
				switch {
				case tc.want == "" && err != nil:
					t.Errorf("%s: %v", what, err)
				case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
					t.Errorf("%s: %v, want %q", what, err, tc.want)
				case tc.want != "" && strings.Contains(err.Error(), "\n"):
					t.Errorf("%s: more than one line: %v", what, err)
				}
			}
		})
	}
}
