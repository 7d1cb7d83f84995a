//go:build unix

package logging

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"peerlab/peer/files"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFile(t *testing.T) {
	var out bytes.Buffer
	l := New(&out, slog.LevelInfo)
	log := l.Logger()
	dir := t.TempDir()
	t.Chdir(dir)
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := os.WriteFile(b, []byte("before\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	on := func(path, want string) {
		t.Helper()
		if err := l.On(files.OS{}, path); err != nil {
			t.Fatal(err)
		}
		if got := l.File(); got != want {
			t.Errorf("File() = %q, want %q", got, want)
		}
	}
	log.Info("zero")
	on("a", a)
	log.Info("one")
	on(b, b)
	log.Info("two")
	if err := l.On(files.OS{}, dir); err == nil || l.File() != b {
		t.Errorf("a bad path: error %v, File() = %q", err, l.File())
	}
	log.Info("three")
	if err := l.Off(); err != nil {
		t.Error(err)
	}
	log.Info("four")
	if err := l.Off(); err == nil || !strings.Contains(err.Error(), "no log file is on") || l.File() != "" {
		t.Errorf("off twice: error %v, File() = %q", err, l.File())
	}

	lines := strings.SplitAfter(out.String(), "\n")
	if len(lines) != 6 {
		t.Fatalf("the writer got %q", lines)
	}
	if got := read(t, a); got != lines[1] {
		t.Errorf("a holds %q, want %q", got, lines[1])
	}
	if got, want := read(t, b), "before\n"+lines[2]+lines[3]; got != want {
		t.Errorf("b holds %q, want %q", got, want)
	}
	for path, want := range map[string]fs.FileMode{a: 0o600, b: 0o640} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
}

func TestFileThatCannotBeOn(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(in("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(in("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(in("read"), 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(in("read"), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	socket, err := net.Listen("unix", in("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()

	l := New(io.Discard, slog.LevelInfo)
	for path, want := range map[string]string{
		"":                           "no path given",
		dir:                          "is a directory: name a file in it",
		in("none/log"):               "create " + in("none") + " first",
		in("file/log"):               "not a directory",
		in("pipe"):                   "not a regular file",
		in("read"):                   "not a regular file",
		in("socket"):                 "not a regular file",
		"/dev/full":                  "not a regular file",
		in("a\x00b"):                 "invalid argument",
		in(strings.Repeat("x", 300)): "name too long",
	} {
		err := l.On(files.OS{}, path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "log file") {
			t.Errorf("On(%.60q): %v, want %q", path, err, want)
		}
		if l.File() != "" {
			t.Errorf("On(%.60q) failed, and %s is on", path, l.File())
			_ = l.Off()
		}
	}
}

// Root may write anywhere, so these errors are made, not met.
func TestExplain(t *testing.T) {
	for cause, want := range map[error]string{
		syscall.EACCES: "log file /x/log: permission denied: choose a file the peer's user may write",
		syscall.EROFS:  "log file /x/log: read-only file system: choose one on a writable volume",
		syscall.EMFILE: "log file /x/log: too many open files",
	} {
		if err := explain("/x/log", cause); err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	var out bytes.Buffer
	l := New(&out, slog.LevelError)
	l.SetLevel("chat", slog.LevelInfo)
	l.file = full // On takes no device
	log := l.Logger().With("layer", "chat")
	log.Info("one")
	log.Info("two")

	var got []string
	for line := range strings.Lines(out.String()) {
		_, message, _ := strings.Cut(line, " msg=")
		got = append(got, message)
	}
	want := "one layer=chat\n" +
		`"log file is off: it cannot be written" file=/dev/full err="no space left on device"` + "\n" +
		"two layer=chat\n"
	if strings.Join(got, "") != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if len(l.Recent(10)) != 3 || l.File() != "" || l.Off() == nil {
		t.Errorf("recent %q, file %q", l.Recent(10), l.File())
	}
	if err := full.Close(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("the file is left open: %v", err)
	}
}
