package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// checkTestFiles refuses what is asked of multi-peer test files and would do
// nothing: their summary is text, and without a scenario beside them nothing reads
// the flags for scenarios.
func (l *lab) checkTestFiles(cmd *cobra.Command, files []string, scenarios bool) error {
	if len(files) == 0 {
		return nil
	}
	if err := l.noJSON("a test file (" + files[0] + ")"); err != nil {
		return err
	}
	if scenarios {
		return nil
	}
	for _, name := range []string{"set", "arm", "repeat", "out", "seed", "parallel"} {
		if cmd.Flags().Changed(name) {
			return usageError{fmt.Errorf("--%s is for scenarios: a test file (%s) has no use for it", name, files[0])}
		}
	}
	return nil
}
