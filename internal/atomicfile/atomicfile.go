// Package atomicfile writes files of which a reader sees the old content or the
// new one, never a part: into a temporary file beside it, which then takes its
// name. google/renameio does the same and more, but not on Windows, where the
// simulator runs, too.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Private is the mode of files that only their owner can read: results, state
// and histories hold what was said and done. Their directories have the mode
// PrivateDir.
const (
	Private    fs.FileMode = 0o600
	PrivateDir fs.FileMode = 0o700
)

// Write replaces the file at path, or creates it, with the given mode and with
// what content writes. If that fails, the file stays as it was. What survives
// is a crash of the process, not one of the host: see [WriteSynced].
func Write(path string, mode fs.FileMode, content func(io.Writer) error) error {
	return write(path, mode, false, content)
}

// WriteSynced is Write that returns when the content is on the disk.
func WriteSynced(path string, mode fs.FileMode, content func(io.Writer) error) error {
	return write(path, mode, true, content)
}

// Bytes is the content that is b.
func Bytes(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}

func write(path string, mode fs.FileMode, sync bool, content func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close() // closed already, if closing failed
			_ = os.Remove(f.Name())
		}
	}()
	w := bufio.NewWriter(f)
	if err = content(w); err == nil {
		err = w.Flush()
	}
	if err == nil && sync {
		err = f.Sync() // or the name could be on the disk before the content
	}
	if err == nil {
		err = f.Chmod(mode)
	}
	if err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Create opens a private file for writing, empty.
func Create(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, Private)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(Private); err != nil { // it may have been there before
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
