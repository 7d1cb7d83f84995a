package main

import (
	"strings"
	"testing"

	"peerlab/testbed/docker"
)

func TestCheckLimits(t *testing.T) {
	for _, test := range []struct {
		about       docker.About
		state, says string
	}{
		{docker.About{MemoryLimit: true, PIDsLimit: true}, "ok", "memory and processes"},
		{docker.About{PIDsLimit: true}, "missing", "control group for memory"},
		{docker.About{}, "missing", "memory, pids"},
	} {
		if c := checkLimits(test.about); c.State != test.state || !strings.Contains(c.Found, test.says) {
			t.Errorf("%+v: %+v", test.about, c)
		}
	}
}
