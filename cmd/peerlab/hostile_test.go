package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/creack/pty"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// hostileImage builds the image of a peer that attacks the terminal.
func hostileImage(t *testing.T, labels map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(dir, "serf"), "./testdata/hostile")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	dockerfile := "FROM scratch\nENTRYPOINT [\"/serf\"]\nCOPY serf /\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
		t.Fatal(err)
	}
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	var output bytes.Buffer
	ref, err := provider.BuildImage(t.Context(), &testcontainers.ContainerRequest{FromDockerfile: testcontainers.FromDockerfile{
		Context: dir, Repo: "peerlab-test-hostile", Tag: "t" + time.Now().Format("150405"), BuildLogWriter: &output,
		BuildOptionsModifier: func(o *client.ImageBuildOptions) { o.NoCache, o.Labels = true, labels },
	}})
	if err != nil {
		t.Fatalf("%v\n%s", err, &output)
	}
	return ref
}

// atTerminal runs the program with a terminal for its input and output, and
// returns what the terminal gets.
func (p process) atTerminal(args ...string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), selfVariable+"=1", "PEERLAB_CLUSTER="+p.cluster, "TERM=xterm")
	screen, err := pty.Start(cmd)
	if err != nil {
		p.t.Fatal(err)
	}
	defer screen.Close()
	var got bytes.Buffer
	_, _ = io.Copy(&got, screen) // EIO when the program has ended
	_ = cmd.Wait()
	return strings.ReplaceAll(got.String(), "\r\n", "\n") // which the terminal adds
}

// colours are the only sequences that may reach a terminal.
var colours = regexp.MustCompile("\x1b\\[(0|1|2|31|32|33)m")

// actsOn returns what in a text a terminal acts on.
func actsOn(text string) (found []rune) {
	for _, r := range colours.ReplaceAllString(text, "") {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || r == '\u202e' {
			found = append(found, r)
		}
	}
	return found
}

func TestHostilePeerAtATerminal(t *testing.T) {
	p, _, labels := newProcess(t, "hostile")
	p.must("up", "1", "--adapter", "serf", "--image", hostileImage(t, labels))

	for _, args := range [][]string{
		{"exec", "alice", "--", "members"},
		{"exec", "alice", "--", "fail"},
		{"logs", "alice"},
		{"events"},
		{"events", "--format", "json"},
		{"ps"},
		{"exec", "nobody\x1b[2J", "--", "members"},
		{"logs", "nobody\x1b[2J"},
		{"run", "nowhere\x1b[2J.txt"},
	} {
		text := p.atTerminal(args...)
		if found := actsOn(text); len(found) > 0 || text == "" {
			t.Errorf("%q: the terminal gets %q:\n%q", args, found, text)
		}
	}
	if text := p.atTerminal("exec", "alice", "--", "members"); !strings.Contains(text, "a member: ") || !strings.Contains(text, "half a colour") {
		t.Errorf("exec says %q", text)
	}
	// Where it is asked for, and where no terminal is, nothing is changed.
	for _, args := range [][]string{{"exec", "--raw", "alice", "--", "members"}, {"logs", "--raw", "alice"}} {
		if text := p.atTerminal(args...); !strings.Contains(text, "\x1b]0;owned\a \x1b[2J") {
			t.Errorf("%q: the terminal gets %q", args, text)
		}
	}
	for _, args := range [][]string{{"exec", "alice", "--", "members"}, {"logs", "alice"}} {
		if text := p.must(args...); !strings.Contains(text, "\x1b]0;owned\a \x1b[2J hidden\rshown \u009b1A") {
			t.Errorf("%q: a pipe gets %q", args, text)
		}
	}
}
