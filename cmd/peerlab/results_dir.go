package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"peerlab/internal/atomicfile"
)

// runsDir is where the results are of commands without --out.
func (l *lab) runsDir() (string, error) {
	state := l.env("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // a relative one does not count, says the XDG specification
		home := l.env("HOME")
		if home == "" {
			return "", errors.New("no directory for results: neither XDG_STATE_HOME nor HOME is set")
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "peerlab", "runs"), nil
}

// lockFile is locked while a command writes results into its directory.
const lockFile = "running.lock"

// resultsDir returns the directory for the results of a command: the one that
// --out names, or else a new one, which the returned function gives free.
func (l *lab) resultsDir(out, command, what string) (dir string, release func(), err error) {
	if out != "" {
		if info, err := os.Stat(out); err == nil && !info.IsDir() {
			return "", nil, usageError{fmt.Errorf("--out %s is a file, not a directory", out)}
		}
		dir, err = filepath.Abs(out)
		return dir, func() {}, err
	}
	runs, err := l.runsDir()
	if err != nil {
		return "", nil, fmt.Errorf("%w: name a directory with --out", err)
	}
	if dir, err = newResults(runs, time.Now(), command, what); err != nil {
		return "", nil, fmt.Errorf("create a directory for the results: %w", err)
	}
	lock := flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(atomicfile.Private))
	if err := lock.Lock(); err != nil { // who looks whether it runs lets go of it soon
		return "", nil, fmt.Errorf("create a directory for the results: %w", err)
	}
	return dir, func() {
		_ = lock.Unlock()
		_ = os.Remove(lock.Path())
		_ = os.Remove(dir) // if nothing came of it
	}, nil
}

// newResults makes a directory below runs that no other process gets.
func newResults(runs string, now time.Time, command, what string) (string, error) {
	if err := os.MkdirAll(runs, atomicfile.PrivateDir); err != nil {
		return "", err
	}
	id := fmt.Sprintf("%s-%s-%s", now.Format(idTime), command, notInID.ReplaceAllString(what, "."))
	for n := 1; ; n++ {
		dir := filepath.Join(runs, id)
		if n > 1 {
			dir += fmt.Sprintf("-%d", n)
		}
		err := os.Mkdir(dir, atomicfile.PrivateDir)
		if !errors.Is(err, fs.ErrExist) {
			return dir, err
		}
	}
}

const idTime = "20060102-150405"

var (
	notInID = regexp.MustCompile(`[^A-Za-z0-9._-]+`)
	anID    = regexp.MustCompile(`^\d{8}-\d{6}-(run|sweep|compare)-`)
)

// isRunning reports whether a command still writes results into the directory.
func isRunning(dir string) bool {
	lock := flock.New(filepath.Join(dir, lockFile), flock.SetFlag(os.O_RDONLY)) // and not create it
	free, err := lock.TryRLock()                                                // others look, too
	_ = lock.Close()
	return !free && !errors.Is(err, fs.ErrNotExist)
}

// resultIDs are the directories with results, by name, the newest last.
func (l *lab) resultIDs() (runs string, ids []string, err error) {
	if runs, err = l.runsDir(); err != nil {
		return "", nil, err
	}
	entries, err := os.ReadDir(runs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", nil, err
	}
	for _, e := range entries {
		if e.IsDir() && anID.MatchString(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return runs, ids, nil
}

// findAllResults is findResults of several.
func (l *lab) findAllResults(ids []string) ([]string, error) {
	var dirs []string
	for _, id := range ids {
		dir, err := l.findResults(id)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// findResults returns the directory of results by its ID, or by the beginning or
// the end of it if no other has it; "last" is the newest.
func (l *lab) findResults(id string) (string, error) {
	runs, ids, err := l.resultIDs()
	if err != nil {
		return "", err
	}
	if id == "last" && len(ids) > 0 {
		return filepath.Join(runs, slices.Max(ids)), nil
	}
	if slices.Contains(ids, id) {
		return filepath.Join(runs, id), nil
	}
	var like []string
	for _, one := range ids {
		if strings.HasPrefix(one, id) || strings.HasSuffix(one, id) {
			like = append(like, one)
		}
	}
	switch len(like) {
	case 0:
		return "", fmt.Errorf("no results are named %q: peerlab runs lists them", id)
	case 1:
		return filepath.Join(runs, like[0]), nil
	}
	return "", fmt.Errorf("%q is ambiguous: it means %s or %s, for instance", id, like[0], like[1])
}
