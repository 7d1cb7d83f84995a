package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFailedThenInterrupted: what has failed is known, whatever happens to the rest.
func TestFailedThenInterrupted(t *testing.T) {
	const sees3 = "cluster 3\nstart\nawait 2m all see 3 alive\n"
	day := strings.Repeat("wait 24h\n", 100)
	fails := write(t, "fails.txt", sees3+"await 5s all see 2 alive\n")
	long := write(t, "long.txt", sees3+day)
	either := write(t, "either.txt", "set M=3\n"+sees3+"await 5s all see $M alive\n"+day)
	wrong := write(t, "wrong.cmd", "alice init\nalice nonsense\n")
	for _, test := range []struct {
		name   string
		args   []string
		signal syscall.Signal
		begun  string // in the line after which the signal comes
		out    string // on standard output
	}{
		{"run", []string{"run", "--engine", "sim", fails, long}, syscall.SIGINT, "fail: ", "fails     fail"},
		{"repeated", []string{"run", "--engine", "sim", "--parallel", "1", "--repeat", "3", fails, long, "-o", "json"}, syscall.SIGTERM, "fail: ", `"verdict":"fail"`},
		{"test file", []string{"run", "--engine", "sim", wrong, long}, syscall.SIGINT, "wait 24h", "FAILED"},
		{"sweep", []string{"sweep", "--engine", "sim", "--parallel", "1", either, "--vary", "M=1,3"}, syscall.SIGINT, "fail: ", "0/1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], append(test.args, "--out", t.TempDir())...)
			cmd.Env = append(os.Environ(), selfVariable+"=1")
			var out strings.Builder
			cmd.Stdout = &out
			errs, err := cmd.StderrPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			sent := false
			for said := bufio.NewScanner(errs); said.Scan(); {
				all = append(all, said.Text())
				if !sent && strings.Contains(said.Text(), test.begun) {
					sent = true
					_ = cmd.Process.Signal(test.signal)
				}
			}
			_ = cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != 1 || !strings.Contains(all[len(all)-1], "interrupted after") || !strings.Contains(out.String(), test.out) {
				t.Errorf("status %d, want 1\n%s\n%s", got, out.String(), strings.Join(all, "\n"))
			}
		})
	}
}

// TestDoctorIsInterrupted by a signal: that is no finding about this machine.
func TestDoctorIsInterrupted(t *testing.T) {
	for signal, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		dir, err := os.MkdirTemp("", "doctor") // the path of a socket is short
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		socket := filepath.Join(dir, "docker.sock")
		daemon, err := net.Listen("unix", socket) // never answers
		if err != nil {
			t.Fatal(err)
		}
		defer daemon.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, os.Args[0], "doctor", "-o", "json")
		cmd.Env = append(os.Environ(), selfVariable+"=1", "DOCKER_HOST=unix://"+socket)
		var out, errs strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		asked, err := daemon.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer asked.Close()
		_ = cmd.Process.Signal(signal)
		_ = cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != want || out.String() != "" || !json.Valid([]byte(errs.String())) || !strings.Contains(errs.String(), "interrupted (") {
			t.Errorf("%s: status %d, want %d: %q %q", signal, got, want, out.String(), errs.String())
		}
	}
}
