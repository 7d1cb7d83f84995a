package files

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// given is the context key of the files that are given with a line.
type given struct{}

// With returns a context under which relative names are read from contents, by
// slash-separated path, and nowhere else: a line of a scenario sees the files
// beside the scenario so. With nil nothing changes.
func With(ctx context.Context, contents map[string]string) context.Context {
	if contents == nil {
		return ctx
	}
	return context.WithValue(ctx, given{}, contents)
}

// For returns what a line that runs under ctx sees of sys.
func For(ctx context.Context, sys System) System {
	contents, ok := ctx.Value(given{}).(map[string]string)
	if !ok {
		return sys
	}
	return overlay{sys, contents}
}

// overlay is a System whose relative names are read from contents. What is
// written goes to the System.
type overlay struct {
	System
	contents map[string]string
}

var errNoFileBeside = errors.New("no such file beside the scenario")

// beside returns what a name is in contents: its path, if it is relative and
// does not lead out.
func beside(name string) (string, bool) {
	return filepath.ToSlash(filepath.Clean(name)), filepath.IsLocal(name)
}

// OpenFile implements System.
func (o overlay) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	at, is := beside(name)
	if !is || flag&(os.O_WRONLY|os.O_RDWR|os.O_CREATE) != 0 {
		return o.System.OpenFile(name, flag, perm)
	}
	text, ok := o.contents[at]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errNoFileBeside}
	}
	return &reader{Reader: strings.NewReader(text), name: name}, nil
}

// Abs implements System. A file that is given has no other name.
func (o overlay) Abs(name string) (string, error) {
	if at, is := beside(name); is {
		return at, nil
	}
	return o.System.Abs(name)
}

// reader is an open file of an overlay.
type reader struct {
	*strings.Reader
	name string
}

func (r *reader) Name() string { return r.name }

func (r *reader) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: r.name, Err: fs.ErrPermission}
}

func (r *reader) Stat() (fs.FileInfo, error) {
	return info{filepath.Base(r.name), node{mode: 0o444, data: make([]byte, r.Size())}}, nil
}

func (r *reader) Sync() error  { return nil }
func (r *reader) Close() error { return nil }
