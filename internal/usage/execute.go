package usage

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"peerlab/internal/terminal"
)

// wrong is a mistake in a command line, as opposed to a failure of a command.
type wrong struct{ error }

func (w wrong) Unwrap() error { return w.error }

// Wrong marks err as a mistake in the command line.
func Wrong(err error) error { return wrong{err} }

// Execute runs the command that args name and returns the exit status of the
// program: 1 after a failure and 2 after an error made by [Wrong]. It
// prints the error to stderr.
func Execute(ctx context.Context, root *cobra.Command, args []string, stdout, stderr io.Writer) int {
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return Wrong(err) })
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	line := terminal.Line(err.Error())
	if errors.As(err, new(wrong)) {
		fmt.Fprintf(stderr, "%s: %s (see %[1]s --help)\n", root.Name(), line)
		return 2
	}
	fmt.Fprintf(stderr, "%s: %s\n", root.Name(), line)
	return 1
}
