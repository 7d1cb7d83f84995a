package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"peerlab/testbed/docker"
)

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
