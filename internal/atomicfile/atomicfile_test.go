package atomicfile_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"peerlab/internal/atomicfile"
)

func TestWriteIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, write := range []func(string, os.FileMode, func(io.Writer) error) error{atomicfile.Write, atomicfile.WriteSynced} {
		if err := write(path, atomicfile.Private, atomicfile.Bytes([]byte("whole"))); err != nil {
			t.Fatal(err)
		}
		broken := errors.New("broken")
		err := write(path, 0o644, func(w io.Writer) error {
			_, _ = w.Write(make([]byte, 1<<20))
			return broken
		})
		if !errors.Is(err, broken) {
			t.Errorf("error %v", err)
		}
		b, err := os.ReadFile(path)
		if err != nil || string(b) != "whole" {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if err := atomicfile.Write(filepath.Join(dir, "no", "file"), 0o600, atomicfile.Bytes(nil)); err == nil {
		t.Error("written into a directory that there is not")
	}
}

func TestCreateIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := atomicfile.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 || info.Size() != 0 {
		t.Errorf("%v %d %v", info.Mode(), info.Size(), err)
	}
}
