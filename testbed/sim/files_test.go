package sim

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peerlab/peer"
	chatapp "peerlab/peer/chat/app"
	"peerlab/testbed"
)

// takePaths are the commands that take the name of a file, each with a place
// for it.
var takePaths = []string{
	"execute PATH", "execute -k PATH", "config load PATH", "loadconfig PATH",
	"config save PATH", "saveconfig PATH", "log on PATH",
}

// TestFilesOfTheHostAreOutOfReach runs each command that takes a path with
// files of whoever runs the simulation.
func TestFilesOfTheHostAreOutOfReach(t *testing.T) {
	for _, c := range commandsWithFiles(t) {
		if !strings.Contains(strings.Join(takePaths, "\n"), c) {
			t.Errorf("%s takes a path and is not tried", c)
		}
	}
	const secret = "hunter2"
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Chdir(dir)
	file, link := filepath.Join(dir, "secret"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	up := strings.Repeat("../", 30)
	simulate(t, 1, map[string]string{"bare": "true"}, func(l *lab) {
		l.must(l.Start(l.ctx, "alice"))
		l.exec("alice", "membership configure")
		for _, line := range takePaths {
			paths := []string{
				file, link, "secret", "./secret", "link", "~/secret", "$HOME/secret", "new", filepath.Join(dir, "new"),
				up + strings.TrimPrefix(file, "/"), "../" + filepath.Base(dir) + "/secret", dir,
			}
			if strings.HasPrefix(line, "execute") || strings.Contains(line, "load") { // the others would write there
				paths = append(paths, "/etc/passwd", up+"etc/passwd", "/proc/self/environ", "/dev/stdin", "/dev/null")
			}
			for _, path := range paths {
				line := strings.Replace(line, "PATH", path, 1)
				var out bytes.Buffer
				err := l.Exec(l.ctx, "alice", line, testbed.Input{}, &out)
				if !errors.As(err, new(*testbed.CommandError)) || strings.Contains(err.Error()+out.String(), secret) || strings.Contains(err.Error()+out.String(), "root") {
					t.Errorf("%s: %v, output %q", line, err, &out)
				}
			}
		}
		if err := l.Exec(l.ctx, "alice", "config save", testbed.Input{}, new(bytes.Buffer)); err == nil {
			t.Error("config save wrote to the directory of work")
		}
		if err := l.Exec(l.ctx, "alice", "shell touch new", testbed.Input{}, new(bytes.Buffer)); err == nil {
			t.Error("a program of the host ran")
		}
	})
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("the host's directory has %v, %v", entries, err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != secret+"\n" {
		t.Errorf("the host's file is %q, %v", text, err)
	}
}

// commandsWithFiles are the names of those that complete names of files.
func commandsWithFiles(t *testing.T) (names []string) {
	p, err := peer.New(chatapp.NewConfig("peer"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.Commands().Commands() {
		if strings.Contains(c.Usage, "FILE") {
			names = append(names, c.Name)
		}
	}
	if len(names) < 4 {
		t.Fatalf("only %q take a file", names)
	}
	return names
}

// A peer's own files are there for its commands, are not another's, and are
// gone when it starts again, as those in the memory of a container are.
func TestFilesOfItsOwn(t *testing.T) {
	simulate(t, 2, map[string]string{"state": "/data/kept"}, func(l *lab) {
		l.up()
		l.exec("alice", "msg -wait=local kept")
		l.exec("alice", "sleep 5") // until it has noted whom it knows
		l.exec("alice", "config save /run/peer/conf.json")
		l.exec("alice", "config load /run/peer/conf.json")
		l.exec("alice", "log on /run/peer/log")
		l.exec("alice", "log off")
		if err := l.Exec(l.ctx, "bob", "config load /run/peer/conf.json", testbed.Input{}, new(bytes.Buffer)); err == nil {
			t.Error("bob sees alice's file")
		}
		l.must(l.Kill(l.ctx, "alice"))
		l.must(l.Start(l.ctx, "alice"))
		if err := l.Exec(l.ctx, "alice", "config load /run/peer/conf.json", testbed.Input{}, new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("after a restart: %v", err)
		}
		l.exec("alice", "sleep 5")
		if out := l.exec("alice", "chat stats"); !strings.Contains(out, "/data/kept/chat.db") || strings.Contains(out, "memory") {
			t.Errorf("what it was told to keep: %s", out)
		}
		if err := l.Exec(l.ctx, "alice", "execute /data/kept/peers.json", testbed.Input{}, new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), "peers.json:1: unknown command") {
			t.Errorf("whom it remembers: %v", err)
		}
	})
}
