package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/jedib0t/go-pretty/v6/text"

	"peerlab/observe"
	"peerlab/scenarios"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
)

// cursor are the sequences that move the cursor.
var cursor = regexp.MustCompile("\x1b\\[[0-9]*[AJ]|\r")

// in80 runs the program in a terminal of 80 columns and returns what that gets.
func in80(t *testing.T, env []string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), selfVariable+"=1", "TERM=xterm", "NO_COLOR=", "XDG_STATE_HOME="+t.TempDir())
	cmd.Env = append(cmd.Env, env...)
	screen, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	defer screen.Close()
	var got bytes.Buffer
	_, _ = io.Copy(&got, screen) // EIO when the program has ended
	_ = cmd.Wait()
	return strings.ReplaceAll(got.String(), "\r\n", "\n") // which the terminal adds
}

func TestEverythingFits80Columns(t *testing.T) {
	long := write(t, "long.txt", tiny+"check all have message '"+strings.Repeat("some words ", 200)+"'\n")
	measures := write(t, "measures.txt", "cluster 12\nstart\nawait 1m all see 12 alive\nkill bob\nawait 2m alice sees bob dead\npartition alice..dave / rest\nwait 2s\nheal\nmeasure detection isolation fp heal chat traffic\n")
	unable := []string{"DOCKER_HOST=unix:///nowhere/docker.sock"}
	for _, test := range []struct {
		args string
		env  []string
		want string
	}{
		{"run --engine sim " + long, nil, "alice does not have it"},
		{"run --engine sim " + measures, nil, "detection"},
		{"run --engine sim --repeat 3 " + measures, nil, "95 % of"},
		{"sweep " + measures + " --vary SuspicionMult=2,3", nil, "SuspicionMult"},
		{"gallery", nil, "gallery/crash"},
		{"doctor", unable, "Docker"},
		{"doctor", nil, "Docker"},
		{"runs", nil, "there are no results"},
	} {
		got := in80(t, test.env, strings.Fields(test.args)...)
		if !strings.Contains(got, test.want) {
			t.Errorf("%s: %q is missing:\n%s", test.args, test.want, got)
		}
		for line := range strings.Lines(got) {
			line = strings.TrimSuffix(line, "\n")
			if n := text.StringWidthWithoutEscSequences(cursor.ReplaceAllString(line, "")); n > 80 && !strings.Contains(line, string(os.PathSeparator)) {
				t.Errorf("%s: a line of %d columns: %s", test.args, n, line)
			}
		}
	}
}

// In a terminal the lines of a scenario take each other's place, elsewhere they
// stay.
func TestProgressIsDrawnAnew(t *testing.T) {
	notes := []scenarios.Note{
		{Run: "x #1", Line: 3, Text: "await 1m all see 2 alive"},
		{Run: "x #2", Line: 3, Text: "await 1m\tall see 2 alive " + strings.Repeat("long ", 50)},
		{Run: "x #1", At: time.Second, Line: 4, Text: "kill bob"},
	}
	ended := scenarios.Note{Run: "x #1", At: 2 * time.Second, Done: &scenarios.Done{Result: &scenarios.Result{Record: observe.Record{Verdict: observe.Pass}}}}

	var plain bytes.Buffer
	p := newRunProgress(&plain, palette{}, 2, true)
	for _, n := range append(notes, ended) {
		p.note(n)
	}
	p.close()
	for _, line := range []string{"x #1:       0.0s  await 1m all see 2 alive\n", "x #2:       0.0s  await 1m all see 2 alive long", "x #1:       1.0s  kill bob\n", "x #1:       2.0s  pass\n"} {
		if !strings.Contains(plain.String(), line) {
			t.Errorf("elsewhere %q is missing in\n%s", line, &plain)
		}
	}

	screen, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer screen.Close()
	if err := pty.Setsize(terminal, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	p = newRunProgress(terminal, palette{}, 2, true)
	for _, n := range notes {
		p.note(n)
	}
	var got []byte
	for buf := make([]byte, 4096); !bytes.Contains(got, []byte("kill bob")); { // within a tick
		n, err := screen.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, buf[:n]...)
	}
	p.note(ended)
	p.close()
	_ = terminal.Close()
	rest, _ := io.ReadAll(screen)
	got = append(got, rest...)
	text := strings.ReplaceAll(string(got), "\r\n", "\n")
	const second = "x #2:       0.0s  await 1m all see 2 alive long long long long long long long …\n"
	want := "x #1:       1.0s  kill bob\n" + second + "0 of 2 runs have ended\n" +
		"\r\x1b[3A\x1b[Jx #1:       2.0s  pass\n" + second + "1 of 2 runs have ended\n\r\x1b[2A\x1b[J"
	if !strings.HasSuffix(text, want) {
		t.Errorf("a terminal gets\n%q, want at its end\n%q", text, want)
	}
}

func TestColor(t *testing.T) {
	file := write(t, "tiny.txt", tiny)
	for _, test := range []struct {
		name string
		args []string
		env  []string
		want bool
	}{
		{"a terminal", nil, nil, true},
		{"NO_COLOR", nil, []string{"NO_COLOR=1"}, false},
		{"a dumb terminal", nil, []string{"TERM=dumb"}, false},
		{"never", []string{"--color", "never"}, nil, false},
		{"always", []string{"--color", "always"}, []string{"NO_COLOR=1"}, true},
	} {
		got := in80(t, test.env, append([]string{"run", "--engine", "sim", "--quiet", file}, test.args...)...)
		if strings.Contains(got, "\x1b[32mpass\x1b[0m") != test.want {
			t.Errorf("%s: %q", test.name, got)
		}
	}
	vars := map[string]string{"XDG_STATE_HOME": t.TempDir()}
	for mode, want := range map[string]bool{"always": true, "auto": false, "never": false} {
		status, out, errs := call(vars, "run", "--engine", "sim", "--color", mode, write(t, "fails.txt", tiny+"check alice sees bob dead\n"))
		if strings.Contains(out+errs, "\x1b[31mfail\x1b[0m") != want || strings.Contains(errs, "\x1b[32malive\x1b[0m") != want || status != 1 {
			t.Errorf("%s to a pipe: %q %q", mode, out, errs)
		}
		if status, out, _ := call(vars, "check", "last", "--color", mode); strings.Contains(out, "\x1b[31mfail\x1b[0m") != want || status != 1 {
			t.Errorf("check %s: %q", mode, out)
		}
	}
	if status, _, errs := call(vars, "gallery", "--color", "blue"); status != 2 || !strings.Contains(errs, `--color "blue" must be one of auto, always, never`) {
		t.Errorf("%d %s", status, errs)
	}
	if status, out, _ := call(vars, "__complete", "gallery", "--color", ""); status != 0 || !strings.Contains(out, "auto\nalways\nnever\n") {
		t.Errorf("%d %s", status, out)
	}
}

// A cut is red and a degraded link yellow; colors take no columns.
func TestMatrixInColor(t *testing.T) {
	links, err := testbed.ParseLinks("alice -> bob drop=all; bob -> alice loss=20%")
	if err != nil {
		t.Fatal(err)
	}
	got := matrix(links, []string{"alice", "bob"}, palette{true}, 100)
	want := "FROM \\ TO  alice  bob\nalice             \x1b[31mcut\x1b[0m\nbob        \x1b[33ma\x1b[0m\na  loss=20%\n"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Whoever interrupts what runs on containers is told at once why that takes
// seconds.
func TestCleanupIsTold(t *testing.T) {
	for engine, want := range map[string]string{"docker": "interrupted: removing", "sim": ""} {
		ctx, cancel := context.WithCancelCause(t.Context())
		said := make(chan string, 1)
		stop := tellCleanup(ctx, engine, func(line string) { said <- line })
		cancel(errors.New("interrupted"))
		if want == "" {
			stop()
			continue
		}
		select {
		case line := <-said:
			if !strings.HasPrefix(line, want) {
				t.Error(line)
			}
		case <-time.After(time.Minute):
			t.Error("nothing is said")
		}
	}
}

// compare prints Markdown to a pipe, and to a terminal if it is asked to.
func TestCompareInATerminal(t *testing.T) {
	d, err := dockerd.Connect(t.Context())
	if err != nil {
		t.Skip(err)
	}
	_ = d.Close()
	file := write(t, "skips.txt", "# Skips\ncluster 2\n[docker] skip 'not here'\nstart\n")
	out := filepath.Join(t.TempDir(), "out")
	const markdown = "| scenario | sim | docker |"
	if got := in80(t, nil, "compare", "--quiet", "--out", out, file); strings.Contains(got, markdown) || !strings.Contains(got, "SCENARIO") {
		t.Errorf("in a terminal: %s", got)
	}
	if got := in80(t, nil, "compare", "--quiet", "--out", out, "--markdown", file); !strings.Contains(got, markdown) {
		t.Errorf("asked for Markdown: %s", got)
	}
	if _, got, errs := call(nil, "compare", "--quiet", "--out", out, file); !strings.Contains(got, markdown) {
		t.Errorf("to a pipe: %s%s", got, errs)
	}
	// What is wrong for one engine is said before anything runs on the other.
	wrong := write(t, "wrong.txt", "# Wrong\ncluster 2\nstart\n[docker] kill zoe\n")
	none := filepath.Join(t.TempDir(), "none")
	if status, _, errs := call(nil, "compare", "--out", none, wrong); status != 2 || !strings.Contains(errs, "zoe") {
		t.Errorf("%d %s", status, errs)
	}
	if _, err := os.Stat(none); err == nil {
		t.Error("something has run")
	}
}

// TestProgressAfterTheWindowChanged makes a window narrower while work goes on: what
// is told then is wrapped for what it is, and columns begin where they do without
// colors.
func TestProgressAfterTheWindowChanged(t *testing.T) {
	screen, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer screen.Close()
	resize := func(columns uint16) {
		if err := pty.Setsize(terminal, &pty.Winsize{Rows: 24, Cols: columns}); err != nil {
			t.Fatal(err)
		}
	}
	resize(80)
	l := newLive(terminal)
	l.say("one  two three four five six seven eight")
	resize(20)
	l.say("one  two three four five six seven eight", palette{true}.story("alice dead  two three four five six"))
	l.close()
	_ = terminal.Close()
	told, _ := io.ReadAll(screen)
	want := "one  two three four five six seven eight\n" +
		"one  two three four\nfive six seven eight\nalice dead  two\nthree four five six\n"
	if got := cursor.ReplaceAllString(string(told), ""); color.ReplaceAllString(got, "") != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := indentOf("    "+palette{true}.story("bob is dead  for long")), indentOf("    bob is dead  for long"); got != want {
		t.Errorf("text with colors begins at %d, without them at %d", got, want)
	}
}

var color = regexp.MustCompile("\x1b\\[[0-9]*m")
