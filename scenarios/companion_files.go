package scenarios

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"unicode/utf8"

	"peerlab/internal/atomicfile"
	"peerlab/observe"
	peerline "peerlab/peer/command"
	"peerlab/peer/control"
)

// beside are the files beside a scenario: what relative paths in its lines
// name. They are read once, so that all runs see the same, and nothing else is
// read for a scenario.
type beside struct {
	dir  string // where they are
	none error  // why there are none, if not nil

	mu    sync.Mutex
	read  map[string]string // by slash-separated path
	given map[string]string // those of them that lines have been given
	size  int               // of given, in bytes
}

// maxBeside is how many files one line can be given, and maxGiven how much, in
// bytes, all lines of a scenario: each of its saved runs has a copy.
const (
	maxBeside = 100
	maxGiven  = 16 << 20
)

// filesDir is where a saved run has the files that were beside its scenario, so
// that none of them takes the place of one of its own.
const filesDir = "files"

var errNoneBeside = errors.New("the scenario was read from no file, so nothing is beside it")

// besideFile are the files beside the scenario at path, and below. Those of the
// scenario of a saved run are in a directory of their own.
func besideFile(path string) *beside {
	b := &beside{dir: filepath.Dir(path)}
	kept, err := os.Stat(filepath.Join(b.dir, filesDir))
	if _, noRun := os.Stat(filepath.Join(b.dir, observe.ResultFile)); err == nil && kept.IsDir() && noRun == nil {
		b.dir = filepath.Join(b.dir, filesDir)
	}
	named, err := os.Lstat(path)
	if err == nil {
		var file fs.FileInfo
		switch file, err = os.Stat(path); {
		case err == nil && !file.Mode().IsRegular(): // such as a pipe
			err = fmt.Errorf("%s is not a regular file, so nothing is beside it", path)
		case err == nil && !os.SameFile(named, file):
			err = fmt.Errorf("%s is a symbolic link, so nothing is beside it: run the file it names", path)
		}
	}
	b.none = err
	return b
}

// fileError is why a file that a line names cannot be given to it.
type fileError struct {
	name string
	err  error
}

func (e *fileError) Error() string { return e.name + ": " + e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

// named returns the files that a line of a peer's shell reads, and those that
// the scripts among them read. An absolute path names a file of the peer's own.
// The error is a *fileError for one that the line itself names.
func (b *beside) named(line []string) (map[string]string, error) {
	files, size := map[string]string{}, 0
	var add func(line []string) error
	add = func(line []string) error {
		for _, name := range peerCommands().FilesRead(line) {
			at := filepath.ToSlash(filepath.Clean(name))
			if _, has := files[at]; has || filepath.IsAbs(name) || strings.Contains(name, "$") {
				continue
			}
			if !filepath.IsLocal(name) {
				return &fileError{name, errLeadsOut}
			}
			text, err := b.file(at)
			if err != nil {
				return &fileError{name, err}
			}
			if size += len(at) + len(text); size > control.MaxFiles || len(files) == maxBeside {
				return &fileError{name, fmt.Errorf("the files of the line are too many: the limit is %d bytes in %d files", control.MaxFiles, maxBeside)}
			}
			files[at] = text
			for inner := range strings.Lines(text) {
				words, err := peerline.Split(inner)
				if err != nil {
					continue // no script
				}
				if err := add(words); err != nil && errors.Is(err, fs.ErrNotExist) {
					continue // the peer says so, if it comes to that
				} else if err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := add(line); err != nil {
		return files, err
	}
	return files, b.give(files)
}

// errLeadsOut is why a file elsewhere is not read.
var errLeadsOut = errors.New("it leads out of the scenario's directory")

// give notes the files that a line is given.
func (b *beside) give(files map[string]string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, text := range files {
		if _, has := b.given[name]; has {
			continue
		}
		if b.size+len(name)+len(text) > maxGiven {
			return &fileError{name, fmt.Errorf("with it the files of all lines are too many: the limit is %d MiB", maxGiven>>20)}
		}
		if b.given == nil {
			b.given = map[string]string{}
		}
		b.given[name], b.size = text, b.size+len(name)+len(text)
	}
	return nil
}

// save copies the files that lines have been given to a directory, without
// secrets.
func (b *beside) save(dir string, redact func(string) string) error {
	b.mu.Lock()
	given := maps.Clone(b.given)
	b.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(given)) {
		var text strings.Builder
		for line := range strings.Lines(given[name]) {
			body := strings.TrimRight(line, "\r\n")
			text.WriteString(redact(peerCommands().Redact(body)) + line[len(body):])
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), atomicfile.PrivateDir); err != nil {
			return err
		}
		if err := atomicfile.Write(path, atomicfile.Private, atomicfile.Bytes([]byte(text.String()))); err != nil {
			return err
		}
	}
	return nil
}

// file returns the content of one.
func (b *beside) file(name string) (string, error) {
	if b.none != nil {
		return "", b.none
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if text, has := b.read[name]; has {
		return text, nil
	}
	text, err := readBeside(b.dir, name)
	if err != nil {
		return "", err
	}
	if b.read == nil {
		b.read = map[string]string{}
	}
	b.read[name] = text
	return text, nil
}

// missingError is that of a file that is not there.
type missingError struct{}

func (missingError) Error() string   { return "no such file beside the scenario" }
func (missingError) Is(e error) bool { return e == fs.ErrNotExist }

// readBeside reads a regular file in dir or below it. Symbolic links that lead
// out, and names that begin with a dot, are refused: where somebody runs a
// scenario that is not theirs may be their home directory.
func readBeside(dir, name string) (string, error) {
	if slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return strings.HasPrefix(part, ".") }) {
		return "", errors.New("a file whose name begins with a dot is not given to a peer")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	info, err := root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return "", missingError{}
	case err != nil && strings.Contains(err.Error(), "escapes"):
		return "", errLeadsOut
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", errors.New("it is not a regular file")
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // should it be a pipe by now
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > limit:
		return "", fmt.Errorf("it is too long: the limit is %d bytes", limit)
	case !utf8.Valid(text):
		return "", errors.New("it is not UTF-8 text")
	}
	return string(text), nil
}
