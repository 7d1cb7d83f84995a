//go:build !linux

package docker

import "testing"

// needRoot skips the test: Docker's containers run on another host.
func needRoot(t *testing.T) {
	t.Helper()
	t.Skip("only root of Docker's own host can look at its rules")
}
