package files_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"peerlab/peer/files"
)

// What can be done with a file in the one directory that can be written comes
// to the same in memory and on the host, errors included.
func TestMemoryAnswersAsTheHost(t *testing.T) {
	type outcome struct {
		text string
		err  error
	}
	host, memory := files.OS{}, files.NewMemory()
	hostDir := t.TempDir()
	write := func(name, text string, flag int) func(files.System, string) outcome {
		return func(sys files.System, dir string) outcome {
			f, err := sys.OpenFile(dir+name, flag, 0o600)
			if err != nil {
				return outcome{err: err}
			}
			_, err = io.WriteString(f, text)
			st, _ := f.Stat()
			return outcome{text: st.Mode().String(), err: errors.Join(err, f.Sync(), f.Close())}
		}
	}
	read := func(name string) func(files.System, string) outcome {
		return func(sys files.System, dir string) outcome {
			text, err := files.Read(sys, dir+name, 100)
			return outcome{string(text), err}
		}
	}
	list := func(name string) func(files.System, string) outcome {
		return func(sys files.System, dir string) outcome {
			entries, err := sys.ReadDir(dir + name)
			var b strings.Builder
			for _, e := range entries {
				b.WriteString(e.Name() + " " + e.Type().String() + "\n")
			}
			return outcome{b.String(), err}
		}
	}
	does := func(f func(files.System, string) error) func(files.System, string) outcome {
		return func(sys files.System, dir string) outcome { return outcome{err: f(sys, dir)} }
	}
	const create = os.O_WRONLY | os.O_CREATE
	for _, step := range []struct {
		name string
		do   func(files.System, string) outcome
	}{
		{"nothing there", read("/a")},
		{"create", write("/a", "hello", create)},
		{"read", read("/a")},
		{"overwrite the beginning", write("/a", "J", os.O_WRONLY)},
		{"read again", read("/a")},
		{"append", write("/a", "!", create|os.O_APPEND)},
		{"read what was appended", read("/a")},
		{"truncate", write("/a", "x", create|os.O_TRUNC)},
		{"read what is left", read("/a")},
		{"exclusive", write("/a", "x", create|os.O_EXCL)},
		{"write without the right", write("/a", "x", os.O_RDONLY)},
		{"no directory", write("/d/a", "x", create)},
		{"make directories", does(func(sys files.System, dir string) error { return sys.MkdirAll(dir+"/d/e", 0o700) })},
		{"make them again", does(func(sys files.System, dir string) error { return sys.MkdirAll(dir+"/d/e", 0o700) })},
		{"a file in the way", does(func(sys files.System, dir string) error { return sys.MkdirAll(dir+"/a/b", 0o700) })},
		{"below a file", read("/a/b")},
		{"a file with a slash", read("/a/")},
		{"read a directory", read("/d")},
		{"write a directory", write("/d", "x", create)},
		{"dots", write("/d/../d/./f", "dots", create)},
		{"list", list("")},
		{"list below", list("/d")},
		{"list a file", list("/a")},
		{"list nothing", list("/nothing")},
		{"replace", does(func(sys files.System, dir string) error { return sys.Replace(dir+"/d/b", []byte("old")) })},
		{"replace again", does(func(sys files.System, dir string) error { return sys.Replace(dir+"/d/b", []byte("new")) })},
		{"read what was replaced", read("/d/b")},
		{"list after that", list("/d")},
		{"too large", does(func(sys files.System, dir string) error {
			return files.Write(sys, dir+"/large", make([]byte, 101), 0o600)
		})},
		{"read too large", read("/large")},
		{"a long name", read("/" + strings.Repeat("x", 256))},
		{"a long path", read(strings.Repeat("/x", 3000))},
		{"a NUL", read("/\x00")},
	} {
		want, got := step.do(host, hostDir), step.do(memory, files.RunDir)
		message := func(o outcome, dir string) string {
			if o.err == nil {
				return ""
			}
			return strings.ReplaceAll(o.err.Error(), dir, "DIR")
		}
		if got.text != want.text || message(got, files.RunDir) != message(want, hostDir) {
			t.Errorf("%s: %q, %v; the host says %q, %v", step.name, got.text, got.err, want.text, want.err)
		}
	}
}

func TestMemoryIsReadOnlyOutsideOfRunDir(t *testing.T) {
	m := files.NewMemory()
	m.AddVolume("/data/here")
	for name, want := range map[string]error{
		"x": syscall.EROFS, "/x": syscall.EROFS, "/etc/x": syscall.EROFS, "/run/x": syscall.EROFS,
		"/home/you/x": syscall.ENOENT, "~/x": syscall.ENOENT, "../etc/x": syscall.EROFS, "/run/peer/../../etc/x": syscall.EROFS,
		"/run/peerage": syscall.EROFS, "/dev/null": syscall.EACCES, "/run/peer": syscall.EISDIR, "": syscall.ENOENT,
		"/data/x": syscall.EROFS, "/data/here/x": nil, "/run/peer/x": nil, "run/peer/y": nil,
	} {
		if err := files.Write(m, name, []byte("x"), 0o600); !errors.Is(err, want) {
			t.Errorf("write %q: %v, want %v", name, err, want)
		}
	}
	if err := m.MkdirAll("/etc/d", 0o700); !errors.Is(err, syscall.EROFS) {
		t.Errorf("make a directory: %v", err)
	}
}

func TestRestartKeepsVolumes(t *testing.T) {
	m := files.NewMemory()
	m.AddVolume("/run/peer/kept")
	for _, name := range []string{"/run/peer/kept/a", "/run/peer/lost"} {
		if err := files.Write(m, name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m.Restart()
	if _, err := files.Read(m, "/run/peer/kept/a", 10); err != nil {
		t.Error(err)
	}
	if _, err := files.Read(m, "/run/peer/lost", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := files.NewMemory()
	for range 2 { // what was removed counts no longer
		f, err := m.OpenFile("/run/peer/x", os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for err == nil && n < 100 {
			_, err = f.Write(make([]byte, 1<<20))
			n++
		}
		if !errors.Is(err, syscall.ENOSPC) || n != 17 {
			t.Errorf("after %d MiB: %v", n, err)
		}
		if err := errors.Join(f.Close(), files.Write(m, "/run/peer/x", nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDatabase(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	m := files.NewMemory()
	for _, want := range []string{"", "kept"} {
		f, err := m.OpenDatabase("/run/peer/db", os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(f); string(got) != want || err != nil {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
		_, _ = f.WriteString("kept")
		_ = f.Close()
	}
	if _, err := m.OpenDatabase("/db", os.O_RDWR|os.O_CREATE, 0o600); !errors.Is(err, syscall.EROFS) {
		t.Error(err)
	}
	if _, err := files.Read(m, "/run/peer/db", 100); !errors.Is(err, syscall.EBUSY) {
		t.Error(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(os.Getenv("TMPDIR") + "/*"); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// Files that are given with a line are all that its relative names mean.
func TestGiven(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("own", []byte("own"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx := files.With(context.Background(), map[string]string{"setup.txt": "given", "d/a.json": "{}"})
	for _, sys := range []files.System{files.OS{}, files.NewMemory()} {
		given := files.For(ctx, sys)
		for name, want := range map[string]string{"setup.txt": "given", "./setup.txt": "given", "d/../d/a.json": "{}"} {
			if got, err := files.Read(given, name, 100); string(got) != want || err != nil {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
		for _, name := range []string{"own", "d", ".", "../" + filepath.Base(dir) + "/setup.txt", "/setup.txt"} {
			if got, err := files.Read(given, name, 100); !errors.Is(err, fs.ErrNotExist) && !strings.Contains(err.Error(), "beside the scenario") {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
		if name, err := given.Abs("./setup.txt"); name != "setup.txt" || err != nil {
			t.Errorf("%q, %v", name, err)
		}
		if got, err := files.Read(files.For(context.Background(), files.OS{}), "own", 100); !bytes.Equal(got, []byte("own")) || err != nil {
			t.Errorf("without files given: %q, %v", got, err)
		}
	}
}

// Some editors begin a text with a byte order mark.
func TestReadDropsAByteOrderMark(t *testing.T) {
	name := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(name, []byte("\ufeffecho \ufeff"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := files.Read(files.OS{}, name, 100); err != nil || string(text) != "echo \ufeff" {
		t.Errorf("%q, %v", text, err)
	}
}
