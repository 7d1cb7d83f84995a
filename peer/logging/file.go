package logging

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"peerlab/peer/files"
)

// On writes every line from now on to a file of sys as well: appended, created with
// mode 0600 in a directory that exists. It takes the place of a file that was
// on before, which stays on when path cannot be opened. Writing is part of
// logging, so a slow disk slows the peer. At the first line that cannot be written, on
// a full disk for one, the log says so on its writer and the file is off.
func (l *Log) On(sys files.System, path string) error {
	file, err := open(sys, path)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.file, file = file, l.file
	l.mu.Unlock()
	if file == nil {
		return nil
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("log file %s is on, but closing %s failed: %w", path, file.Name(), cause(err))
	}
	return nil
}

// Off ends what On began. It is an error when no file is on.
func (l *Log) Off() error {
	l.mu.Lock()
	file := l.file
	l.file = nil
	l.mu.Unlock()
	if file == nil {
		return errors.New("no log file is on: start one with log on FILE")
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("close log file %s: %w", file.Name(), cause(err))
	}
	return nil
}

// File returns the absolute path of the file that is on, or "".
func (l *Log) File() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return ""
	}
	return l.file.Name()
}

// dropFile says what failed and goes on without the file. The caller holds mu.
func (l *Log) dropFile(failed error) {
	_ = l.file.Close()
	r := slog.NewRecord(time.Now(), slog.LevelError, "log file is off: it cannot be written", 0)
	r.AddAttrs(slog.String("file", l.file.Name()), slog.String("err", cause(failed).Error()))
	l.file = nil
	if line, err := format(context.Background(), l.text, r); err == nil {
		_ = l.show("", r.Level, line)
	}
}

func open(sys files.System, path string) (files.File, error) {
	if path == "" {
		return nil, errors.New("log file: no path given")
	}
	full, err := sys.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("log file %s: %w", path, err)
	}
	// A pipe that nobody reads would block the open, and one read slowly
	// every record: O_NONBLOCK gets past the first to refuse both.
	file, err := sys.OpenFile(full, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, explain(full, cause(err))
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNotRegular
	}
	if err != nil {
		_ = file.Close()
		return nil, explain(full, cause(err))
	}
	return file, nil
}

var errNotRegular = errors.New("not a regular file")

// explain adds to an error of opening path what to do about it.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("log file %s: %w: name a file in it", path, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("log file %s: %w: create %s first", path, err, filepath.Dir(path))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("log file %s: %w: choose a file the peer's user may write", path, err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("log file %s: %w: choose one on a writable volume", path, err)
	case errors.Is(err, syscall.ENXIO):
		return fmt.Errorf("log file %s: %w", path, errNotRegular)
	}
	return fmt.Errorf("log file %s: %w", path, err)
}

// cause strips the operation and the path from an error of package os.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
