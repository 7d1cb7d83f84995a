// Package files is what a peer sees of files: those of its host (OS), or some
// of its own in memory (Memory), as a peer in a simulation has. Whatever a peer
// opens it opens here, so that nothing it is told reaches another's files.
package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"peerlab/internal/atomicfile"
)

// System is a file system. Its methods do what those of package os do, with
// its errors, and may be called concurrently.
type System interface {
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// OpenDatabase opens a file that the caller maps into memory and locks. It
	// is a file of the host in any case, but not always under this name.
	OpenDatabase(name string, flag int, perm fs.FileMode) (*os.File, error)
	ReadDir(name string) ([]fs.DirEntry, error)
	MkdirAll(name string, perm fs.FileMode) error
	// Replace makes data the content of a file that only its owner can read, as
	// one step that is on the disk: a crash leaves the old content or the new.
	Replace(name string, data []byte) error
	Abs(name string) (string, error)
}

// File is an open file.
type File interface {
	io.ReadWriteCloser
	Name() string // as it was opened
	Stat() (fs.FileInfo, error)
	Sync() error
}

// OS is the file system of the host.
type OS struct{}

var _ System = OS{}

// OpenFile implements System.
func (OS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err // not a *os.File that is nil
	}
	return f, nil
}

// OpenDatabase implements System.
func (OS) OpenDatabase(name string, flag int, perm fs.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag, perm)
}

// ReadDir implements System.
func (OS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

// MkdirAll implements System.
func (OS) MkdirAll(name string, perm fs.FileMode) error { return os.MkdirAll(name, perm) }

// Replace implements System.
func (OS) Replace(name string, data []byte) error {
	return atomicfile.WriteSynced(name, atomicfile.Private, atomicfile.Bytes(data))
}

// Abs implements System.
func (OS) Abs(name string) (string, error) { return filepath.Abs(name) }

// ByteOrderMark is what some editors begin a text with.
const ByteOrderMark = "\ufeff"

// Read returns the content of a file of text, without a byte order mark before it.
// More than limit bytes are an error.
func Read(sys System, name string, limit int) ([]byte, error) {
	f, err := sys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(text) > limit {
		return nil, fmt.Errorf("%s is too long: the limit is %d bytes", name, limit)
	}
	return bytes.TrimPrefix(text, []byte(ByteOrderMark)), nil
}

// Write makes data the content of a file, which is created with perm if it is
// missing.
func Write(sys System, name string, data []byte, perm fs.FileMode) error {
	f, err := sys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
