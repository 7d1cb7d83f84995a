//go:build linux

package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args   []string
		status int
		stderr string
	}{
		{nil, 2, "choose a command: agent, probe or features"},
		{[]string{"agent", "--lab", "x"}, 2, "--lab and --bridge must be given"},
		{[]string{"agent", "--lab", "x", "--bridge", "br-none-at-all", "extra"}, 2, "unknown command"},
		{[]string{"agent", "--lab", "a b", "--bridge", "br0"}, 1, "a name has letters, digits"},
		{[]string{"agent", "--lab", "x", "--bridge", "br-none", "--uid", "me"}, 2, "invalid argument"},
		{[]string{"probe", "--port", "70000"}, 2, "invalid argument"},
		{[]string{"probe", "--port", "0"}, 0, ""},
		{[]string{"--version"}, 0, ""},
	} {
		var stdout, stderr bytes.Buffer
		status := run(t.Context(), test.args, strings.NewReader(""), &stdout, &stderr)
		if status != test.status || !strings.Contains(stderr.String(), test.stderr) || strings.Count(stderr.String(), "\n") > 1 {
			t.Errorf("fabric %s: status %d, %q; want %d, %q", strings.Join(test.args, " "), status, stderr.String(), test.status, test.stderr)
		}
	}
}

func TestProbe(t *testing.T) {
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), []string{"probe", "--port", "0"}, strings.NewReader(`{"id":7,"collect":{"flow":1,"want":0}}`+"\n"), &stdout, &stderr)
	if status != 0 || stdout.String() != "{\"id\":7}\n" {
		t.Errorf("status %d, %q, %q", status, stdout.String(), stderr.String())
	}
}
