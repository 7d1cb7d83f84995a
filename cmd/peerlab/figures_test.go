//go:build unix

package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFigureRuns times whole runs of the program, as somebody has them who runs a
// scenario: peers of the LAN profile start, are awaited, and spend a minute. With
// each size goes the exponent since the one before: how the seconds of a
// processor grow with the peers. make bench-sim runs it; SIZES chooses the sizes,
// CHAT=true or false only with the chat or without.
func TestFigureRuns(t *testing.T) {
	if os.Getenv("PEERLAB_BENCH") == "" {
		t.Skip("it takes minutes: make bench-sim")
	}
	program := filepath.Join(t.TempDir(), "peerlab")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sizes := "50 100 200 400"
	if s := os.Getenv("SIZES"); s != "" {
		sizes = s
	}
	for _, chat := range []bool{false, true} {
		if only := os.Getenv("CHAT"); only != "" && only != strconv.FormatBool(chat) {
			continue
		}
		var before int
		var took float64
		for size := range strings.FieldsSeq(sizes) {
			n, err := strconv.Atoi(size)
			if err != nil {
				t.Fatal(err)
			}
			run := timeRun(t, program, fmt.Sprintf("cluster %d profile=lan no-chat=%t\nstart\nawait 20m all see %d alive\nwait 1m\n", n, !chat, n))
			exponent := "     "
			if before > 0 {
				exponent = fmt.Sprintf("%5.2f", math.Log(run.cpu/took)/math.Log(float64(n)/float64(before)))
			}
			fmt.Printf("%5d peers, chat %-5t  %7.1f s of a processor, %7.1f s, exponent %s, %6.0f MB  %s\n", n, chat, run.cpu, run.real, exponent, run.mb, run.said)
			before, took = n, run.cpu
		}
	}
}

type timedRun struct {
	cpu, real, mb float64
	said          string // on standard error
}

// timeRun runs the text of a scenario in a program of its own.
func timeRun(t *testing.T, program, text string) timedRun {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "run.txt")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	var said strings.Builder
	cmd := exec.CommandContext(ctx, program, "run", "--engine", "sim", "--quiet", "--out", filepath.Join(dir, "out"), file)
	cmd.Stderr = &said
	began := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, &said)
	}
	used := cmd.ProcessState
	return timedRun{
		cpu:  (used.UserTime() + used.SystemTime()).Seconds(),
		real: time.Since(began).Seconds(),
		mb:   float64(used.SysUsage().(*syscall.Rusage).Maxrss) / 1e3, // kilobytes, on Linux
		said: strings.TrimSpace(said.String()),
	}
}
