package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// commandTree calls f with each command that a user can name, the root first.
func commandTree(root *cobra.Command, f func(path string, c *cobra.Command)) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		f(c.CommandPath(), c)
		for _, sub := range c.Commands() {
			if !sub.Hidden {
				walk(sub)
			}
		}
	}
	walk(root)
}

// onCluster are lines that answer in JSON and need a cluster with alice and bob.
// They leave it as it was.
var onCluster = map[string]string{
	"peerlab clusters": "", "peerlab ps": "", "peerlab events": "",
	"peerlab kill": "bob", "peerlab start": "bob", "peerlab restart": "bob", "peerlab pause": "bob", "peerlab resume": "bob",
	"peerlab throttle": "bob --cpus 0", "peerlab stop": "bob",
	"peerlab partition": "alice / rest", "peerlab cut": "alice bob", "peerlab link": "alice bob loss=30%", "peerlab heal": "", "peerlab links": "",
}

// TestFormatIsHonoredOrRefused calls every command with --format json: it answers
// in JSON, or it says that it has none before it does anything.
func TestFormatIsHonoredOrRefused(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
	dir := t.TempDir()
	test := filepath.Join(dir, "a.cmd")
	if err := os.WriteFile(test, []byte("alice init\nalice members\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	answers := map[string][]string{
		"peerlab":         {"--version"},
		"peerlab version": {""},
		"peerlab env":     {"local"},
		"peerlab gallery": {"", "crash"},
		"peerlab run":     {"gallery/crash --engine sim --quiet --out " + out},
		"peerlab check":   {out},
		"peerlab sweep":   {"gallery/crash --vary SuspicionMult=4 --quiet --out " + filepath.Join(dir, "sweep")},
		"peerlab explore": {"--peers 3 --for 10s --runs 1 --seed 1 --quiet --out " + filepath.Join(dir, "found.txt")},
		"peerlab doctor":  {""},
	}
	refuses := map[string][]string{
		"peerlab":                       {""},
		"peerlab attach":                {"alice"},
		"peerlab exec":                  {"alice -- members", "alice -- members -format json"},
		"peerlab logs":                  {"alice"},
		"peerlab gallery":               {"--markdown"},
		"peerlab run":                   {"--help-verbs", test + " --engine sim"},
		"peerlab help":                  {"", "ps", "verbs"},
		"peerlab completion":            {""},
		"peerlab completion bash":       {""},
		"peerlab completion zsh":        {""},
		"peerlab completion fish":       {""},
		"peerlab completion powershell": {""},
	}
	if status, _, errs := call(nil, strings.Fields("run gallery/crash --engine sim --quiet --out "+out)...); status != 0 {
		t.Fatal(errs) // for check
	}
	elsewhere := []string{ // they answer in JSON, as TestLab shows, or change what is not the test's
		"peerlab up", "peerlab down", "peerlab clean", "peerlab compare",
		"peerlab runs", "peerlab runs show", "peerlab runs prune",
	}
	commandTree(newRoot(func(string) string { return "" }), func(path string, _ *cobra.Command) {
		_, live := onCluster[path]
		if answers[path] == nil && refuses[path] == nil && !live && !slices.Contains(elsewhere, path) {
			t.Errorf("what does %s do with --format json?", path)
		}
		_, words, _ := strings.Cut(path, " ")
		for _, args := range refuses[path] {
			args := append([]string{"--format", "json"}, strings.Fields(words+" "+args)...)
			if status, stdout, errs := call(nil, args...); status != 2 || stdout != "" || !strings.Contains(errs, "json") {
				t.Errorf("%q is to be refused: %d %q %q", args, status, stdout, errs)
			}
		}
		for _, args := range answers[path] {
			args := append([]string{"--format", "json"}, strings.Fields(words+" "+args)...)
			status, stdout, errs := call(nil, args...)
			if stdout == "" || !json.Valid([]byte(stdout)) || status == 2 {
				t.Errorf("%q: %d, no JSON: %q %q", args, status, stdout, errs)
			}
		}
		if live {
			args := append([]string{"--format", "json"}, strings.Fields(words+" "+onCluster[path])...)
			if status, _, errs := call(nil, args...); status != 3 {
				t.Errorf("%q without Docker: %d %q", args, status, errs)
			}
		}
	})
}
