package bootstrap_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(asPeer); url != "" {
		askAndExit(url)
		return
	}
	goleak.VerifyTestMain(m)
}
