package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"peerlab/observe"
	"peerlab/scenarios"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
)

func TestExitStatus(t *testing.T) {
	interrupted := func(s os.Signal) context.Context {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(signalError{s})
		return ctx
	}
	other := errors.New("something else")
	mistakes := scenarios.Problems{{File: "x.txt", Line: 1, Col: 1, Text: "a mistake"}}
	unable := scenarios.Problems{{File: "x.txt", Line: 1, Col: 1, Text: "no netem here", Unable: true}}
	for _, test := range []struct {
		name string
		ctx  context.Context
		err  error
		want int
	}{
		{"well", t.Context(), nil, 0},
		{"well, and interrupted in the end", interrupted(os.Interrupt), nil, 0},
		{"a failure", t.Context(), exit(observe.Fail), 1},
		{"a failure, then interrupted", interrupted(os.Interrupt), exit(observe.Fail), 1},
		{"inconclusive", t.Context(), exit(observe.Inconclusive), 3},
		{"pass", t.Context(), exit(observe.Pass), 0},
		{"what this host cannot do", t.Context(), fmt.Errorf("links %w: no netem", testbed.ErrUnable), 3},
		{"any other error", t.Context(), other, 1},
		{"any other error of an experiment", t.Context(), inconclusiveError{other}, 3},
		{"wrong usage", t.Context(), usageError{other}, 2},
		{"wrong usage of an experiment", t.Context(), inconclusiveError{usageError{other}}, 2},
		{"mistakes", t.Context(), inconclusiveError{problems{mistakes}}, 2},
		{"what is impossible here", t.Context(), inconclusiveError{problems{unable}}, 3},
		{"Ctrl-C", interrupted(os.Interrupt), inconclusiveError{other}, 130},
		{"SIGTERM", interrupted(syscall.SIGTERM), other, 143},
		{"a shell's own", t.Context(), shellStatus(7), 7},
		{"a failure, then no room", t.Context(), inconclusiveError{after(observe.Fail, other)}, 1},
		{"a failure, then a mistake", t.Context(), inconclusiveError{after(observe.Fail, problems{mistakes})}, 2},
		{"no failure, then no room", t.Context(), inconclusiveError{after(observe.Pass, other)}, 3},
	} {
		if got := exitStatus(test.ctx, test.err); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

// TestInterrupted has each command that takes long be interrupted: status 130
// is neither a failure nor an answer.
func TestInterrupted(t *testing.T) {
	file := write(t, "long.txt", "cluster 3\nstart\n"+strings.Repeat("wait 24h\n", 30))
	for _, test := range []struct {
		args   string
		signal syscall.Signal
		want   int
	}{
		{"run --engine sim " + file, syscall.SIGINT, 130},
		{"run --engine sim " + file, syscall.SIGTERM, 143},
		{"explore --for 24h --runs 1000 --seed 1", syscall.SIGINT, 130},
		{"sweep " + file + " --vary SuspicionMult=2,3", syscall.SIGINT, 130},
		{"compare " + file, syscall.SIGINT, 130},
	} {
		t.Run(strings.Fields(test.args)[0], func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			dir := t.TempDir()
			args := strings.Fields(test.args)
			if args[0] == "compare" {
				d, err := dockerd.Connect(ctx)
				if err != nil {
					t.Skip(err)
				}
				_ = d.Close()
			}
			if args[0] != "explore" {
				args = append(args, "--out", dir)
			}
			cmd := exec.CommandContext(ctx, os.Args[0], args...)
			cmd.Env = append(os.Environ(), selfVariable+"=1")
			cmd.Dir = dir
			errs, err := cmd.StderrPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			said := bufio.NewScanner(errs)
			if args[0] == "run" || args[0] == "explore" {
				said.Scan() // it has begun
			} else {
				awaitRun(t, ctx, dir)
			}
			if err := cmd.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
			var last string
			for said.Scan() {
				last = said.Text()
			}
			_ = cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != test.want || !strings.Contains(last, "interrupted") {
				t.Errorf("status %d, want %d; it says %q", got, test.want, last)
			}
		})
	}
}

// awaitRun waits until a run has begun, which makes a directory below dir.
func awaitRun(t *testing.T, ctx context.Context, dir string) {
	t.Helper()
	for {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) > 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal("no run begins")
		case <-time.After(10 * time.Millisecond): // a directory tells of nothing
		}
	}
}

func TestErrorsAsJSON(t *testing.T) {
	file := write(t, "wrong.txt", "cluster 3\nstrat\nkill zoe\n")
	status, out, errs := call(nil, "run", "--format", "json", "--engine", "sim", file)
	var told struct {
		Error    string
		Status   int
		Problems []struct {
			File         string
			Line, Column int
			Text         string
		}
	}
	if err := json.Unmarshal([]byte(errs), &told); err != nil || status != 2 || out != "" {
		t.Fatalf("%d %q: %v", status, errs, err)
	}
	if told.Status != 2 || !strings.Contains(told.Error, "strat") || len(told.Problems) != 2 || told.Problems[1].Line != 3 || told.Problems[1].Column != 6 || told.Problems[0].File != file {
		t.Errorf("%+v", told)
	}
	for _, args := range [][]string{
		{"up", "--format", "json", "0"},
		{"nosuch", "--format", "json"},
		{"check", "--format", "json", t.TempDir()},
		{"run", "--frob", "-o", "json"},
		{"run", "-o", "json", "--frob"},
		{"ps", "--frob", "--format=json"},
		{"cut", "-x", "-ojson"},
	} {
		status, _, errs := call(nil, args...)
		if err := json.Unmarshal([]byte(errs), &told); err != nil || status != 2 || told.Status != 2 {
			t.Errorf("%q: %d %q", args, status, errs)
		}
	}
}

func TestUnknownCommandsAreWrongUsage(t *testing.T) {
	for _, args := range []string{"nosuchword", "nosuchword --help", "help nosuchword", "-h nosuchword"} {
		if status, out, errs := call(nil, strings.Fields(args)...); status != 2 || out != "" || !strings.Contains(errs, `unknown command "nosuchword"`) {
			t.Errorf("%s: %d %q %q", args, status, out, errs)
		}
	}
	for _, args := range []string{"--help", "help", "run --help", "help run", ""} {
		if status, out, errs := call(nil, strings.Fields(args)...); status != 0 || out == "" || errs != "" {
			t.Errorf("%q: %d %q", args, status, fmt.Sprint(errs))
		}
	}
}
