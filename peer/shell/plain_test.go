//go:build linux

package shell

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/peer/command"
)

// plain runs a shell on input that is no terminal and returns what it wrote.
func plain(t *testing.T, ctx context.Context, opts Options, input string) (out, remarks string, err error) {
	t.Helper()
	in, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	go func() {
		_, _ = io.WriteString(w, input)
		if ctx.Err() == nil && !strings.HasSuffix(input, "wait\n") {
			w.Close()
		}
	}()
	defer w.Close()
	file, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var told strings.Builder
	if opts.Err == nil {
		opts.Err = &told
	}
	opts.In, opts.Out = in, file
	err = Run(ctx, opts)
	b, readErr := os.ReadFile(file.Name())
	if readErr != nil {
		t.Fatal(readErr)
	}
	return string(b), told.String(), err
}

func TestPlain(t *testing.T) {
	long := strings.Repeat("x", command.MaxLine)
	for _, tc := range []struct{ name, in, out, err string }{
		{"lines", "echo one\n\n# comment\n/echo two\n", "one\ntwo\n", ""},
		{"no line end", "echo one", "one\n", ""},
		{"CRLF", "echo one\r\n", "one\n", ""},
		{"empty", "", "", ""},
		{"exit", "echo one\nexit\necho two\n", "one\n", ""},
		{"stops at the first failure", "echo one\nfail\necho two\n", "one\n", "line 2: it failed \ufffd[2J"},
		{"unknown command", "exho\n", "", `line 1: unknown command "exho": did you mean echo?`},
		{"unterminated quote", "\nrtt 'a\n", "", "line 2: unterminated quote: close the ', or write \\' for the character itself"},
		{"only at a terminal", "history\n", "", "line 1: history works only at a terminal"},
		{"binary", "echo a\nech\xff\x00\n", "a\n", "line 2: line is not valid UTF-8"},
		{"a long line", "echo a\n" + long + "xxxx\n", "a\n", "a line is too long: the limit is 65536 bytes"},
		{"output is cleaned", "evil\n", "a\ufffd[2Jb\ufffd2Jc\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPeer(t).serve(t)
			left := 0
			out, _, err := plain(t, t.Context(), Options{Peer: p.attach(t), OnExit: func() { left++ }}, tc.in)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if out != tc.out || text != tc.err {
				t.Errorf("wrote %q, ended with %q; want %q, %q", out, text, tc.out, tc.err)
			}
			if want := map[bool]int{true: 1}[err == nil]; left != want {
				t.Errorf("OnExit was called %d times, want %d", left, want)
			}
		})
	}
}

func TestPlainEndsWithItsContext(t *testing.T) {
	p := newPeer(t).serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-p.running
		cancel()
	}()
	if _, _, err := plain(t, ctx, Options{Peer: p.attach(t)}, "wait\n"); !errors.Is(err, context.Canceled) {
		t.Errorf("the shell ended with %v", err)
	}
}

func TestPlainDyingPeer(t *testing.T) {
	p := newPeer(t).serve(t)
	attached := p.attach(t)
	p.kill()
	_, remarks, err := plain(t, t.Context(), Options{Peer: attached}, "echo a\n")
	if !errors.Is(err, ErrGone) || remarks != "peer alice is gone\n" {
		t.Errorf("told %q, ended with %v", remarks, err)
	}
}

func TestPlainPausedPeer(t *testing.T) {
	p := newPeer(t).serve(t)
	attached := p.attach(t)
	resume := p.pause()
	defer resume()
	told := &told{resume: resume}
	out, _, err := plain(t, t.Context(), Options{Peer: attached, Err: told, patience: 10 * time.Millisecond}, "echo a\n")
	if want := "alice does not answer (paused?): Ctrl-C to stop waiting\n"; err != nil || out != "a\n" || told.String() != want {
		t.Errorf("wrote %q, told %q, ended with %v", out, told, err)
	}
}

// told is somebody who lets the peer go on once told that it does not answer.
type told struct {
	strings.Builder
	resume func()
}

func (t *told) Write(p []byte) (int, error) {
	defer t.resume()
	return t.Builder.Write(p)
}

func TestOneRemarkOnly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	remarks := 0
	err := supervise(ctx, dead{}, "echo a", time.Microsecond, func(string) error { return nil }, func(string) {
		remarks++
		cancel()
	})
	if remarks != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d remarks, ended with %v", remarks, err)
	}
}

// dead never answers.
type dead struct{}

func (dead) Name() string { return "alice\x1b[2J" }

func (dead) Exec(ctx context.Context, _ string, _ io.Writer) error {
	<-ctx.Done()
	return ctx.Err()
}

func (dead) Complete(context.Context, string) []string { return nil }

func (dead) Follow(ctx context.Context, _ func(event.Event)) error {
	<-ctx.Done()
	return ctx.Err()
}

func (dead) SaysText(context.Context) bool { return false }

func (dead) Ping(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}
