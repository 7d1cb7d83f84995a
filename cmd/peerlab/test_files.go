package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/internal/terminal"
	"peerlab/observe"
	"peerlab/scenarios"
	"peerlab/testbed"
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
			return usageError{fmt.Errorf("--%s is for scenarios: the test file %s does not use it", name, files[0])}
		}
	}
	return nil
}

// runTestFile runs a multi-peer test file.
func runTestFile(ctx context.Context, host scenarios.Host, name string, out io.Writer) (observe.Verdict, error) {
	f, err := scenarios.ReadTest(name)
	if err != nil {
		return "", problems{err}
	}
	ok := false
	var summary strings.Builder
	err = host(ctx, 1, func(ctx context.Context, factory testbed.Factory) (err error) {
		ok, err = f.Run(ctx, factory, &summary)
		return err
	})
	if ctx.Err() != nil { // it may still be running
		return "", context.Cause(ctx)
	}
	for line := range strings.Lines(summary.String()) {
		fmt.Fprintln(out, terminal.Line(strings.TrimSuffix(line, "\n")))
	}
	switch {
	case err != nil:
		return observe.Inconclusive, fmt.Errorf("%s: %w", name, err)
	case !ok:
		return observe.Fail, nil
	}
	return observe.Pass, nil
}
