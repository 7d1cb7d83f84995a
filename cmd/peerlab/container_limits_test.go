package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"peerlab/testbed/docker"
	"peerlab/testbed/docker/dockerd"
)

func TestCheckLimits(t *testing.T) {
	for _, test := range []struct {
		about       dockerd.About
		state, says string
	}{
		{dockerd.About{MemoryLimit: true, PIDsLimit: true}, "ok", "memory and processes"},
		{dockerd.About{PIDsLimit: true}, "missing", "control group for memory"},
		{dockerd.About{}, "missing", "memory, pids"},
	} {
		if c := checkLimits(test.about); c.State != test.state || !strings.Contains(c.Found, test.says) {
			t.Errorf("%+v: %+v", test.about, c)
		}
	}
}

// TestComposeLimits wants the limits of peerlab up in docker-compose.yml. That of
// processes is a number: docker-compose 1.29 takes what comes from a variable for
// text, and fails.
func TestComposeLimits(t *testing.T) {
	file, err := os.ReadFile("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	memory := memoryFlag(docker.DefaultMemory)
	for _, want := range []string{
		fmt.Sprintf("\n  mem_limit: ${PEERLAB_MEMORY:-%s}\n", memory), fmt.Sprintf("\n  memswap_limit: ${PEERLAB_MEMORY:-%s}\n", memory),
		fmt.Sprintf("\n  pids_limit: %d #", docker.DefaultPIDs),
	} {
		if !strings.Contains(string(file), want) {
			t.Errorf("docker-compose.yml has no %q", want)
		}
	}
}
